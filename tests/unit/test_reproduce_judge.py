from __future__ import annotations

from typing import TYPE_CHECKING

from releasebed import NEWEST, cell, make_project, put_candidate

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.cellkey import CellInputs
from minios_steps.core.diff.images import Side
from minios_steps.core.oci.docker_form import docker_form
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.reproduce import changes, judge, obstacles
from minios_steps.core.toolchain import Toolchain

if TYPE_CHECKING:
    from pathlib import Path

TOOLCHAIN = Toolchain("x86_64", "gcc", cc_version="gcc version 12.2.0", libc="glibc 2.36")


def test_release_in_dockers_form(tmp_path: Path) -> None:
    project = make_project(tmp_path / "config")
    store = CandidateStore(tmp_path / "store")
    record = put_candidate(store, project, cell())
    manifest, config, _ = store.blobs(record.descriptor)
    image = docker_form(record.descriptor, store.layout.read(manifest), store.layout.read(config))
    for raw in (image.manifest, image.config):
        store.layout.put_bytes(raw)
    released = Side(LayoutStore(store.layout), image.descriptor)
    verdict = judge("x86_64", released, CellInputs.from_json(record.inputs), store, record)
    assert (verdict.outcome, verdict.rebuilt) == ("identical", str(image.descriptor.digest))
    other = put_candidate(store, project, cell(), program=b"\x7fELF another")
    verdict = judge("x86_64", released, CellInputs.from_json(record.inputs), store, other)
    assert verdict.outcome == "different"


def test_compiler_and_folder_of_the_compiler(tmp_path: Path) -> None:
    project = make_project(tmp_path / "config")
    store = CandidateStore(tmp_path / "store")
    inputs = CellInputs.from_json(put_candidate(store, project, cell(), identity=TOOLCHAIN.identity).inputs)
    assert obstacles(project, inputs, TOOLCHAIN) == []
    assert changes(project, inputs, TOOLCHAIN) == ()
    elsewhere = Toolchain(**{**vars(TOOLCHAIN), "libc": "musl 1.2.5", "prefix": "/opt/x86_64-"})
    assert obstacles(project, inputs, elsewhere) == [
        "compiler prefix: none → x86_64-",
        "libc: glibc 2.36 → musl 1.2.5",
    ]
    assert str(NEWEST) == inputs.version
