"""An arch's role written into `minios.yaml`, whose comments and layout stay as they are."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from minios_steps.core.config.yamlfile import read_yaml
from minios_steps.core.errors import ConfigError

if TYPE_CHECKING:
    from minios_steps.core.config.base import Role
    from minios_steps.core.config.yamlfile import YamlFile

_KEY = "arches"
_ENTRY = re.compile(
    r"(?P<key>[^\S\n]+(?P<quote>[\"']?)[^:\"'#]+(?P=quote)\s*:\s+)[a-z]+(?P<rest>[^\S\n]*(?:#.*)?)\n?"
)


def with_role(path: Path, arch: str, role: Role) -> str:
    """The text of a `minios.yaml` in which an arch has another role; nothing is written.

    An arch that is not in it is added behind the last one.

    Args:
        path: the file.
        arch: the arch's name.
        role: its role to be.

    Raises:
        ConfigError: the file is wrong, or is laid out in a way that cannot be changed so.
    """
    file = read_yaml(path)
    text = _changed(file, path.read_text("utf-8"), arch, role)
    expected = {**file.data, _KEY: {**_roles(file.data), arch: role}}
    if text is None or _data_of(text, path.name) != expected:
        raise ConfigError(
            f"{path}: the role of {arch} cannot be changed as `{_KEY}` is laid out",
            hint=f"write one arch on a line: `{arch}: {role}`",
        )
    return text


def _changed(file: YamlFile, text: str, arch: str, role: Role) -> str | None:
    lines = text.splitlines(keepends=True)
    places = {at[1]: line - 1 for at, line in file.lines.items() if len(at) == 2 and at[0] == _KEY}  # noqa: PLR2004
    if not places:
        return None
    number = places.get(arch)
    model = _ENTRY.fullmatch(lines[max(places.values()) if number is None else number])
    if model is None:
        return None
    if number is not None:
        lines[number] = f"{model['key']}{role}{model['rest']}\n"
        return "".join(lines)
    last = max(places.values())
    indent = lines[last][: len(lines[last]) - len(lines[last].lstrip())]
    lines[last] = lines[last].rstrip("\n") + "\n"
    lines.insert(last + 1, f"{indent}{arch}: {role}\n")
    return "".join(lines)


def _roles(data: Any) -> dict[str, Any]:
    found = data.get(_KEY)
    return dict(found) if isinstance(found, dict) else {}


def _data_of(text: str, name: str) -> Any:
    with TemporaryDirectory(prefix="minios-role-") as folder:
        copy = Path(folder, name)
        copy.write_text(text, "utf-8")
        try:
            return read_yaml(copy).data
        except ConfigError:
            return None
