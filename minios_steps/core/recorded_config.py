"""A configuration folder made from a release's record: what was built then, whatever is configured now."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from minios_steps.core.cellkey import PIPELINE_VERSION
from minios_steps.core.config.arch import Arch
from minios_steps.core.config.load import load_project
from minios_steps.core.digest import Digest
from minios_steps.core.errors import ConfigError
from minios_steps.core.kconfig import Asked
from minios_steps.core.platform import Platform
from minios_steps.core.skeleton import skeleton_digest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from minios_steps.core.cellkey import CellInputs
    from minios_steps.core.config.project import Project

_LABEL = "org.opencontainers.image."
_PAGE_SIZE = re.compile(r"max-page-size=([0-9]+)")
_EMPTY_FRAGMENTS = ("base", "static", "dynamic", "libc/glibc", "libc/musl")


def recorded_arch(project: Project, inputs: CellInputs) -> Arch:
    """An arch's file as it was for a cell, as far as the cell's inputs tell.

    Raises:
        ConfigError: the configuration has no such arch, or the inputs do not fit any.
    """
    arch = project.arch(inputs.arch)
    platform = Platform.parse(inputs.platform)
    told = arch.model_dump(mode="json", by_alias=True)
    size = _PAGE_SIZE.search(inputs.kconfig)
    musl = re.search(r"^libc musl\b", inputs.toolchain, re.MULTILINE)
    changed = {
        "platform": platform.as_json(),
        "make_arch": inputs.make_arch,
        "kconfig": "",
        "backend": "",
        "libc": "musl" if musl else "glibc",
        "page_size": int(size[1]) if size else told["page_size"],
        "variants": ["static", "dynamic"],
    }
    try:
        return Arch.model_validate({**told, **changed})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"the record of {inputs.arch} is of no arch: {where}: {first['msg']}") from error


def missing_inputs(project: Project, inputs: CellInputs) -> list[str]:
    """The inputs of a cell that the record has the digest of only, and that are not here any more.

    Args:
        project: the configuration of now.
        inputs: as recorded.

    Raises:
        ConfigError: the skeleton cannot be read.
    """
    known = _patch_files(project.root)
    found = [f"patch {sha256[:12]} is not in patches/" for sha256 in inputs.patches if sha256 not in known]
    if (skeleton := skeleton_digest(project.skeleton).hex) != inputs.skeleton:
        found.append(f"skeleton: {inputs.skeleton[:12]} → {skeleton[:12]}")
    if inputs.pipeline != PIPELINE_VERSION:
        found.append(f"pipeline version: {inputs.pipeline} → {PIPELINE_VERSION}")
    return found


def write_recorded(project: Project, cells: Mapping[str, CellInputs], folder: Path) -> Project:
    """Write a configuration that gives some cells of one release their recorded inputs.

    Patches and the skeleton are taken from the configuration of now, by their digests; mirrors,
    limits and the arches' compilers as it says.

    Args:
        project: the configuration of now.
        cells: by arch; of one version and variant.
        folder: to write, which is not there yet.

    Raises:
        ConfigError: what comes out is no configuration.
    """
    inputs = next(iter(cells.values()))
    known = _patch_files(project.root)
    patches = [(f"{n:02d}-{known[sha256].name}", known[sha256]) for n, sha256 in enumerate(inputs.patches)]
    for name in ("arches", "patches", "kconfig/libc", "kconfig/arch"):
        (folder / name).mkdir(parents=True)
    shutil.copytree(project.skeleton, folder / "rootfs")
    for name, path in patches:
        shutil.copyfile(path, folder / "patches" / name)
    for name in _EMPTY_FRAGMENTS:
        (folder / "kconfig" / f"{name}.config").touch()
    for name, cell in cells.items():
        _write_yaml(folder / f"arches/{name}.yaml", recorded_arch(project, cell).model_dump(**_DUMP))
        (folder / f"kconfig/arch/{name}.config").write_text(_fragment(cell.kconfig), "utf-8")
    _write_yaml(folder / "minios.yaml", _minios(project, inputs, list(cells)))
    _write_yaml(folder / "sources.yaml", _sources(project, inputs, [name for name, _ in patches]))
    local = project.workers.local
    workers = {"arches": list(cells), "jobs": local.jobs, "parallel": local.parallel}
    _write_yaml(folder / "workers.yaml", {"local": workers})
    return load_project(folder)


_DUMP: dict[str, Any] = {"mode": "json", "by_alias": True, "exclude_defaults": True}


def _minios(project: Project, inputs: CellInputs, arches: list[str]) -> dict[str, Any]:
    now = project.minios
    labels = dict(inputs.labels)
    texts = ("title", "description", "licenses", "url", "vendor")
    return {
        "image": {
            "name": now.image.name,
            **{name: labels.get(_LABEL + name, "") for name in texts},
            "command": list(inputs.command),
        },
        "versions": [inputs.version],
        "variants": [inputs.variant],
        "arches": dict.fromkeys(arches, "required"),
        "tags": {inputs.variant: ["{version}"]},
        "kconfig_base": inputs.kconfig_base,
        "policy": now.policy.model_dump(**_DUMP),
        "smoke": now.smoke.model_dump(**_DUMP),
    }


def _sources(project: Project, inputs: CellInputs, patches: list[str]) -> dict[str, Any]:
    now = project.sources
    mirrors = [mirror.model_dump(mode="json") for mirror in now.mirrors]
    for mirror in mirrors:
        if mirror["kind"] == "file":
            mirror["path"] = str(project.root / mirror["path"])
    release = {"sha256": inputs.source_sha256, "epoch": inputs.epoch, "patches": patches}
    return {
        "releases": {inputs.version: release},
        "mirrors": mirrors,
        "max_bytes": now.max_bytes,
        "max_unpacked": now.max_unpacked,
    }


def _fragment(canonical: str) -> str:
    """The lines of a fragment that asks for what `kconfig.canonical` wrote."""
    pairs = (line.partition("=") for line in canonical.splitlines())
    return "".join(f"{Asked(symbol, value, '').line}\n" for symbol, _, value in pairs)


def _patch_files(root: Path) -> dict[str, Path]:
    """Every patch of a configuration by its sha256, whether a release names it or not."""
    paths = (path for path in sorted((root / "patches").rglob("*")) if path.is_file())
    return {Digest.of_file(path).hex: path for path in paths}


def _write_yaml(path: Path, data: Any) -> None:
    path.write_text(yaml.safe_dump(data, sort_keys=False), "utf-8")
