"""`ReuseCandidate`: hit, miss with its reason, damage."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from buildbot.process.properties import Property
from buildbot.process.results import CANCELLED, FAILURE, SUCCESS
from releasebed import BUILT, IDENTITY, OLDER, cell, make_project, put_candidate
from stepbed import StepCase

from minios_steps import reuse_candidate
from minios_steps.core.candidates import CandidateStore
from minios_steps.core.plan import cell_inputs
from minios_steps.reuse_candidate import ReuseCandidate

if TYPE_CHECKING:
    from minios_steps.core.digest import Digest


class Reusing(StepCase):
    def reuse(self, *, identity: str = IDENTITY, **kwargs: Any) -> None:
        self.project = make_project(self.folder / "config")
        self.store = CandidateStore(self.folder / "store")
        options = {"arch": "x86_64", "version": "1.38.0", "variant": "static", **kwargs}
        self.setup_step(ReuseCandidate(project=self.project, store=self.store.root, **options))
        self.set_properties(toolchain_identity=identity, cc_prefix="")

    def key(self, identity: str = IDENTITY, made: Any = None) -> Digest:
        return cell_inputs(self.project, made or cell(), identity=identity, prefix="").key

    def to_build(self, why: str, identity: str = IDENTITY, made: Any = None) -> Any:
        key = self.key(identity, made)
        self.expect_outcome(SUCCESS, f"to build, key {key.short}: {why}")
        self.expect_property("cell_key", str(key), "reuse")
        self.expect_no_property("reused")
        self.expect_no_property("candidate")
        return self.run_step()

    async def test_hit(self) -> None:
        self.reuse()
        record = put_candidate(self.store, self.project, cell())
        self.expect_outcome(SUCCESS, f"reused {record.descriptor.digest.short}, built {BUILT}")
        self.expect_property("reused", True, "reuse")
        self.expect_property("candidate", record.as_json(), "reuse")
        self.expect_property("cell_key", str(record.key), "reuse")
        self.expect_property("cell_inputs", json.dumps(record.as_json()["inputs"]), "reuse")
        os.utime(self.store.root / "cells" / f"{record.key.hex}.json", (1, 1))
        await self.run_step()
        assert "damaged" not in self.get_nth_step(0).logs
        assert self.store.used_since(2) == {record.key}, "what is used stays when others are removed"

    def test_nothing_built_yet(self) -> Any:
        self.reuse()
        return self.to_build("not built before")

    async def test_nothing_is_written(self) -> None:
        self.reuse()
        await self.to_build("not built before")
        assert not self.store.root.exists()

    def test_other_compiler(self) -> Any:
        newer = "gcc version 13.1.0\n"
        self.reuse(identity=newer)
        put_candidate(self.store, self.project, cell())
        return self.to_build("compiler: gcc 12.2.0 → 13.1.0", newer)

    def test_only_other_cells(self) -> Any:
        self.reuse(version=Property("version"), variant=Property("variant"))
        self.set_properties(version="1.35.0", variant="static")
        put_candidate(self.store, self.project, cell())
        put_candidate(self.store, self.project, cell("aarch64", OLDER))
        return self.to_build("not built before", made=cell(version=OLDER))

    async def test_damaged_blob(self) -> None:
        self.reuse()
        record = put_candidate(self.store, self.project, cell())
        layer = self.store.layout.blob_path(self.store.blobs(record.descriptor)[2])
        layer.write_bytes(layer.read_bytes()[:-1] + b"x")
        await self.to_build("the candidate that was built from this is damaged")
        assert (
            self.log_text("damaged") == f"{self.store.root}: blob sha256:{layer.name} is missing or damaged\n"
        )

    async def test_damaged_record(self) -> None:
        self.reuse()
        record = put_candidate(self.store, self.project, cell())
        path = self.store.root / "cells" / f"{record.key.hex}.json"
        path.write_text("{", "utf-8")
        await self.to_build("not built before")
        assert self.log_text("damaged") == f"{path}: cell record: not JSON\n"

    def test_forced(self) -> Any:
        self.reuse()
        self.set_properties(force_rebuild=True)
        put_candidate(self.store, self.project, cell())
        return self.to_build("a rebuild was asked for")

    def test_engine_builds_another_image(self) -> Any:
        self.reuse(backend=Property("backend"), registry=True)
        self.set_properties(backend="docker", engine="20.10.24")
        put_candidate(self.store, self.project, cell())
        self.expect_property("backend", "docker", "reuse")
        inputs = cell_inputs(self.project, cell(), identity=IDENTITY, prefix="", backend="docker")
        self.expect_outcome(SUCCESS, f"to build, key {inputs.key.short}: backend: oci → docker")
        self.expect_property("cell_key", str(inputs.key), "reuse")
        return self.run_step()

    def test_worker_without_an_engine(self) -> Any:
        self.reuse(backend="docker", registry=True)
        self.set_properties(engine="", workername="w1")
        self.expect_outcome(
            FAILURE, "no Docker engine answers on worker w1, which backend docker needs for x86_64"
        )
        self.expect_no_property("reused")
        return self.run_step()

    async def test_image_that_an_engine_built_is_reused_without_one(self) -> None:
        self.reuse(backend="docker", registry=True)
        self.set_properties(engine="")
        record = put_candidate(self.store, self.project, cell(), backend="docker")
        self.expect_outcome(SUCCESS, f"reused {record.descriptor.digest.short}, built {BUILT}")
        await self.run_step()

    def test_engine_without_a_registry(self) -> Any:
        self.reuse(backend="docker")
        self.expect_outcome(
            FAILURE,
            "backend docker for x86_64: the worker's engine hands images over through a registry, and none"
            " is the destination",
        )
        self.expect_no_property("cell_key")
        return self.run_step()

    def test_unknown_backend(self) -> Any:
        self.reuse(backend="kaniko", registry=True)
        self.expect_outcome(FAILURE, "unknown backend 'kaniko': there are oci and docker")
        return self.run_step()

    def test_no_version(self) -> Any:
        self.reuse(version="newest")
        self.expect_outcome(FAILURE, "not a BusyBox version: 'newest'")
        self.expect_no_property("cell_key")
        return self.run_step()

    def test_skeleton_is_gone(self) -> Any:
        self.reuse()
        skeleton = self.project.skeleton / "skeleton.yaml"
        skeleton.unlink()
        self.expect_outcome(FAILURE, f"{skeleton}: the file is missing")
        self.expect_no_property("cell_key")
        return self.run_step()

    def test_cancelled_while_the_key_is_made(self) -> Any:
        self.reuse()
        self.interrupt_when(reuse_candidate, "cell_inputs")
        self.expect_outcome(CANCELLED)
        self.expect_no_property("cell_key")
        return self.run_step()

    def test_cancelled_while_blobs_are_hashed(self) -> Any:
        self.reuse()
        put_candidate(self.store, self.project, cell())
        self.interrupt_when(CandidateStore, "find")
        self.expect_outcome(CANCELLED)
        self.expect_no_property("reused")
        self.expect_no_property("candidate")
        return self.run_step()
