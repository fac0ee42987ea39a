"""Reads and checks the configuration folder: every problem at once, each with file, line and key."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from minios_steps.core.config.arch import Arch
from minios_steps.core.config.crosscheck import Files, cross_check
from minios_steps.core.config.minios import Minios
from minios_steps.core.config.project import Project
from minios_steps.core.config.sources import Sources
from minios_steps.core.config.workers import Workers
from minios_steps.core.config.yamlfile import Location, YamlFile, dotted, read_yaml
from minios_steps.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pydantic_core import ErrorDetails

M = TypeVar("M", bound=BaseModel)

__all__ = ["Project", "load_project"]


def load_project(folder: Path) -> Project:
    """Read `minios.yaml`, `sources.yaml`, `workers.yaml` and `arches/*.yaml` of a folder.

    Raises:
        ConfigError: the first problem as `FILE:LINE: KEY: what`; all of them, one a line, in
            `details`.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: the configuration folder is missing")
    reader = _Reader(folder)
    minios = reader.read("minios.yaml", Minios)
    sources = reader.read("sources.yaml", Sources)
    workers = reader.read("workers.yaml", Workers)
    arches = reader.read_arches()
    problems = reader.problems
    if not problems and minios and sources and workers:
        project = Project(folder, minios, arches, workers, sources)
        problems = cross_check(project, Files(reader.files))
        if not problems:
            return project
    more = f"{len(problems)} problems in all" if len(problems) > 1 else ""
    raise ConfigError(problems[0], hint=more, details="\n".join(problems))


class _Reader:
    """Reads files of one folder and gathers what is wrong with them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, YamlFile] = {}
        self.problems: list[str] = []

    def read(self, name: str, model: type[M]) -> M | None:
        """A file as a model; None with its problems gathered."""
        try:
            self.files[name] = read_yaml(self.folder / name)
        except ConfigError as error:
            self.problems.extend((error.details or error.what).splitlines())
            return None
        return validate(self.files[name], model, self.problems)

    def read_arches(self) -> Mapping[str, Arch]:
        """Every `arches/*.yaml` by the name of its file."""
        folder = self.folder / "arches"
        paths = sorted(folder.glob("*.yaml"))
        read = {path.stem: self.read(f"arches/{path.name}", Arch) for path in paths}
        for path in sorted(folder.glob("*.yml")):
            self.problems.append(f"{path}: would not be read: name it {path.stem}.yaml")
        if not paths:
            self.problems.append(f"{folder}: there is no arch: add a file NAME.yaml")
        return MappingProxyType({stem: arch for stem, arch in read.items() if arch})


def validate(file: YamlFile, model: type[M], problems: list[str]) -> M | None:
    """The model of a file's data, or None with the problems added to the list."""
    try:
        return model.model_validate(file.data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
    found: dict[Location, dict[str, str]] = {}
    renamed: set[Location] = set()
    for detail in details:
        at = _location(file, detail)
        near: list[str] = []
        if detail["type"] == "extra_forbidden":
            known = sorted(set(_keys(model, at[:-1])))
            near = difflib.get_close_matches(str(at[-1]), known, n=1)
            renamed.update((*at[:-1], name) for name in near)
            what = "unknown key" + (
                f", did you mean {near[0]!r}?" if near else f" (known: {', '.join(known)})"
            )
        elif detail["type"] == "missing":
            what = "is required"
        else:
            what = detail["msg"].removeprefix("Value error, ")
            what = what[:1].lower() + what[1:]
        # The branches of a union complain one by one about the same key.
        found.setdefault(at, {})[what] = detail["type"]
    problems.extend(
        file.problem(at, ", or ".join(found[at]))
        for at in sorted(found, key=lambda at: (file.line(at), dotted(at)))
        if not _is_echo(at, set(found[at].values()), found, renamed)
    )
    return None


def _is_echo(at: Location, kinds: set[str], found: Iterable[Location], renamed: set[Location]) -> bool:
    """Whether another problem causes this one.

    A misspelt key is a missing one too, and a list with only bad items is too short.
    """
    if kinds == {"missing"}:
        return at in renamed
    return kinds == {"too_short"} and any(other[: len(at)] == at and other != at for other in found)


def _location(file: YamlFile, detail: ErrorDetails) -> Location:
    """Pydantic's location without the names of union branches, which are in no file."""
    data: Any = file.data
    at: list[str | int] = []
    for part in detail["loc"]:
        inside = isinstance(data, dict) and part in data
        if inside or (isinstance(data, list) and isinstance(part, int) and part < len(data)):
            data = data[part]
            at.append(part)
    if detail["type"] == "missing":
        at.append(detail["loc"][-1])
    return tuple(at)


def _keys(annotation: Any, at: Iterable[str | int]) -> Iterator[str]:
    """The keys that a model allows at a location."""
    path = list(at)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = {field.alias or name: field.annotation for name, field in annotation.model_fields.items()}
        if not path:
            yield from fields
        elif path[0] in fields:
            yield from _keys(fields[str(path[0])], path[1:])
        return
    arguments = get_args(annotation)
    if get_origin(annotation) in (tuple, Mapping):
        path = path[1:]
    for argument in arguments:
        yield from _keys(argument, path)
