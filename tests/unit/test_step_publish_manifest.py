"""`PublishManifest`: one line that says what was released, or why nothing was written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from buildbot.process.properties import Property
from buildbot.process.results import CANCELLED, FAILURE, SUCCESS, WARNINGS
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from releasebed import ALL, OLDER, cell, make_project, put_cell
from stepbed import StepCase
from supplybed import make_key

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.cell_result import CellResult
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.core.release import Releaser
from minios_steps.core.supply.verify import verify_release
from minios_steps.publish_manifest import PublishManifest

if TYPE_CHECKING:
    from minios_steps.core.version import Version


class Publishing(StepCase):
    def publish(self, *, asked: tuple[str, ...] = ALL, **kwargs: Any) -> None:
        """The step after `TriggerMatrix`; `self.cells(...)` says how the cells ended."""
        self.project = make_project(self.folder / "config")
        self.store = CandidateStore(self.folder / "store")
        self.layout = Layout(self.folder / "out" / "tiny")
        options = {"version": "1.38.0", "variant": "static", "name": "publish", **kwargs}
        self.setup_step(
            PublishManifest(project=self.project, store=self.store.root, layout=self.layout.root, **options)
        )
        self.set_properties(asked_arches=list(asked))

    def good(self, *arches: str, version: Version | None = None) -> list[CellResult]:
        versions = {"version": version} if version else {}
        return [put_cell(self.store, self.project, cell(arch, **versions)) for arch in arches]

    def cells(self, *results: CellResult) -> None:
        self.set_properties(cells=[result.as_json() for result in results])

    def outcomes(self) -> list[str]:
        return [told["outcome"] for told in self.property("cells")]

    def record(self) -> str:
        """How the summary tells of the newest release's record."""
        digest = self.property("releases")[-1]["record"]
        return f"; record {digest.removeprefix('sha256:')[:12]}"

    def index(self) -> str:
        return self.layout.tags()["latest"].digest.short

    async def test_released(self) -> None:
        self.publish()
        self.cells(*self.good(*ALL))
        self.expect_outcome(SUCCESS)
        self.expect_no_property("problem")
        await self.run_step()
        summary = self.get_nth_step(0).getResultSummary()
        assert summary == {
            "step": f"1.38.0 static released as 1.38.0, 1.38, latest ({self.index()}){self.record()}"
        }
        assert self.outcomes() == ["published"] * 3
        (report,) = self.property("releases")
        assert report["outcome"] == "released"
        assert list(report["tags"]) == ["1.38.0", "1.38", "latest"]
        assert report["index"] == str(self.layout.tags()["latest"].digest)
        assert "policy" not in self.get_nth_step(0).logs

    async def test_unchanged(self) -> None:
        self.publish()
        results = self.good(*ALL)
        self.cells(*results)
        self.expect_outcome(SUCCESS)
        await self.run_step()
        first = self.index()
        self._steps.clear()
        self.publish()
        self.cells(*results)
        self.expect_outcome(SUCCESS, f"1.38.0 static unchanged as 1.38.0, 1.38, latest ({first})")
        await self.run_step()
        assert [report["outcome"] for report in self.property("releases")] == ["released", "unchanged"]

    async def test_signed_with_a_secret(self) -> None:
        key = make_key()
        pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"p"))
        self.publish(signing_key=pem.decode(), signing_password="p\n")
        self.cells(*self.good(*ALL))
        self.expect_outcome(SUCCESS)
        await self.run_step()
        report = verify_release(LayoutStore(self.layout), "latest", self.project.arches, key.public)
        assert report.good, report.faults

    async def test_a_key_that_is_none_releases_nothing(self) -> None:
        self.publish(signing_key="no key")
        self.cells(*self.good(*ALL))
        self.expect_outcome(FAILURE)
        await self.run_step()
        (report,) = self.property("releases")
        assert report["outcome"] == "failed"
        assert report["reasons"][0].startswith("signing_key: not a private key in PEM")
        assert "no key" not in json.dumps(report)
        assert not self.layout.exists

    async def test_optional_arch_left_out(self) -> None:
        self.publish()
        self.cells(*self.good("x86_64", "aarch64"), CellResult.no_worker(cell("sw64"), "attach one"))
        self.expect_outcome(SUCCESS)
        await self.run_step()
        told = self.get_nth_step(0).getResultSummary()["step"]
        assert told == (
            f"1.38.0 static released as 1.38.0, 1.38, latest ({self.index()});"
            f" sw64 left out: no-worker{self.record()}"
        )
        assert self.log_text("policy") == (
            "sw64 (optional) no-worker: no worker for sw64 is connected; left out\n"
        )

    async def test_blocked(self) -> None:
        self.publish()
        bad = CellResult.failed(cell("aarch64"), "compile failed: a.c:1:1: error: x")
        self.cells(*self.good("x86_64"), bad, *self.good("sw64"))
        told = (
            "1.38.0 static not released: aarch64 (required) failed: compile failed: a.c:1:1: error: x;"
            " nothing was written"
        )
        self.expect_outcome(FAILURE, told)
        self.expect_build_result_summary({"build": told})
        self.expect_property("problem", told, "publish")
        await self.run_step()
        assert not self.layout.root.exists()
        assert self.outcomes() == ["built", "failed", "built"]
        assert self.property("releases")[0]["outcome"] == "blocked"

    async def test_nothing_was_heard(self) -> None:
        self.publish()
        self.expect_outcome(
            FAILURE,
            "1.38.0 static not released: x86_64 (required) failed: no answer; nothing was written",
        )
        await self.run_step()
        assert not self.layout.root.exists()

    async def test_partial(self) -> None:
        self.publish(asked=("sw64",))
        self.cells(*self.good("sw64"))
        self.expect_outcome(WARNINGS)
        self.expect_no_property("problem")
        await self.run_step()
        (tag, found), *rest = self.layout.tags().items()
        assert (tag, rest) == ("1.38.0-partial", [])
        told = self.get_nth_step(0).getResultSummary()["step"]
        assert told == f"1.38.0 static partial as 1.38.0-partial ({found.digest.short}){self.record()}"

    async def test_swapped_bytes(self) -> None:
        self.publish()
        results = self.good(*ALL)
        layers = []
        for result in results:
            assert result.descriptor
            layers.append(self.store.layout.blob_path(self.store.blobs(result.descriptor)[2]))
        layers[0].write_bytes(layers[1].read_bytes())
        self.cells(*results)
        self.expect_outcome(
            FAILURE,
            f"1.38.0 static not released: x86_64 (required) refused: {self.store.root}:"
            f" blob sha256:{layers[0].name} is damaged: its bytes have another digest;"
            " nothing was written",
        )
        await self.run_step()
        assert self.outcomes() == ["refused", "built", "built"]
        assert not self.layout.root.exists()

    async def test_only_its_own_cells(self) -> None:
        self.publish(version=Property("release"), variant=Property("variant"))
        self.set_properties(release="1.35.0", variant="static")
        newest = CellResult.failed(cell(), "compile failed")
        self.cells(newest, *self.good(*ALL, version=OLDER))
        self.expect_outcome(SUCCESS)
        await self.run_step()
        assert sorted(self.layout.tags()) == ["1.35", "1.35.0"]
        assert self.outcomes() == ["failed", *["published"] * 3]
        assert self.property("cells")[0] == newest.as_json()

    async def test_reports_are_gathered(self) -> None:
        self.publish()
        self.set_properties(releases=[{"version": "1.35.0"}])
        self.cells(*self.good(*ALL))
        self.expect_outcome(SUCCESS)
        await self.run_step()
        assert [report["version"] for report in self.property("releases")] == ["1.35.0", "1.38.0"]

    async def test_layout_cannot_be_written(self) -> None:
        self.publish()
        self.layout.root.mkdir(parents=True)
        (self.layout.root / "precious").touch()
        results = self.good(*ALL)
        self.cells(*results)
        why = f"{self.layout.root} is there and is no OCI image layout (move it away, or name another folder)"
        told = f"1.38.0 static not released: {why}"
        self.expect_outcome(FAILURE, told)
        self.expect_property("problem", told, "publish")
        self.expect_log_file("policy", f"{why}\n")
        await self.run_step()
        assert self.left("out") == [".tiny.lock", "precious"]
        assert self.outcomes() == ["built"] * 3
        (report,) = self.property("releases")
        assert (report["outcome"], list(report["reasons"])) == ("failed", [why])

    def test_damaged_results(self) -> Any:
        self.publish()
        self.set_properties(cells=[{"arch": "x86_64"}])
        self.expect_outcome(FAILURE)
        self.expect_no_property("releases")
        return self.run_step()

    async def test_cancelled(self) -> None:
        self.publish()
        self.cells(*self.good(*ALL))
        self.interrupt_when(Releaser, "publish")
        self.expect_outcome(CANCELLED)
        self.expect_no_property("releases")
        self.expect_no_property("problem")
        await self.run_step()
        # The thread cannot be stopped: the layout has the whole release.
        known = self.layout.tags()
        assert sorted(known) == ["1.38", "1.38.0", "latest"]
        self.layout.check(known["latest"])
        assert self.outcomes() == ["built"] * 3

    async def test_cancelled_before_it_fails(self) -> None:
        self.publish()
        self.layout.root.mkdir(parents=True)
        (self.layout.root / "precious").touch()
        self.cells(*self.good(*ALL))
        self.interrupt_when(Releaser, "publish")
        self.expect_outcome(CANCELLED)
        await self.run_step()
        assert self.left("out") == [".tiny.lock", "precious"]

    def test_name(self) -> None:
        step = PublishManifest(
            project=make_project(self.folder / "config"),
            version="1.38.0",
            variant="static",
            store=self.folder,
            layout=self.folder,
        )
        assert step.name == "publish 1.38.0 static"
