"""`PushImage`: the candidate and its record, whole or not at all."""

from __future__ import annotations

from typing import Any

from buildbot.process.properties import Property
from buildbot.process.results import CANCELLED, FAILURE, SUCCESS
from pushbed import SMOKE, PushCase
from tinyelf import make_elf
from tinyimage import make_image

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.cell_record import CellRecord
from minios_steps.core.digest import Digest


class Pushing(PushCase):
    def refused(self, what: str) -> Any:
        self.expect_outcome(FAILURE, what)
        self.expect_no_property("candidate")
        return self.run_and_find_nothing()

    async def run_and_find_nothing(self) -> None:
        await self.run_step()
        assert self.store.find(self.key) is None
        assert not [name for name in self.left("store") if name.startswith(".tmp")]

    async def test_pushed(self) -> None:
        self.push(version=Property("version"), variant=Property("variant"))
        self.set_properties(version="1.38.0", variant="static")
        self.expect_outcome(SUCCESS, f"candidate {self.image.descriptor.digest.short}, 0.00 MB")
        await self.run_step()
        record = self.store.find(self.key)
        assert record is not None
        assert record == CellRecord.from_json(self.property("candidate"))
        assert (record.arch, record.version, record.variant) == ("x86_64", "1.38.0", "static")
        assert record.descriptor == self.image.descriptor
        assert list(record.smoke) == SMOKE
        assert record.size == (self.image.layer.size + len(self.image.config) + len(self.image.manifest))
        assert record.built.endswith("+00:00")
        assert self.store.layout.tags() == {}

    async def test_again(self) -> None:
        self.push()
        self.expect_outcome(SUCCESS)
        await self.run_step()
        blobs = sorted((self.store.root / "blobs" / "sha256").iterdir())
        inodes = [path.stat().st_ino for path in blobs]
        self._steps.clear()
        self.push()
        self.expect_outcome(SUCCESS)
        await self.run_step()
        assert [path.stat().st_ino for path in blobs] == inodes
        assert len(self.left("store/cells")) == 1

    async def test_other_bytes_than_before(self) -> None:
        self.push()
        self.expect_outcome(SUCCESS)
        await self.run_step()
        before = self.store.find(self.key)
        assert before is not None
        self._steps.clear()
        self.push()
        other = make_image(self.cell, key=str(self.key), program=make_elf(kind=2, flags=1))
        (self.cell / "config.json").write_bytes(other.config)
        (self.cell / "manifest.json").write_bytes(other.manifest)
        self.set_properties(layer=other.layer.as_json(), image=other.descriptor.as_json())
        shorts = (before.descriptor.digest.short, other.descriptor.digest.short)
        told = f"non-reproducible: key {self.key.short} gave {shorts[0]} before, and {shorts[1]} now"
        self.expect_outcome(FAILURE, told)
        diff = f"minios diff {shorts[0]} {shorts[1]}"
        self.expect_property("problem", f"{told} (see what differs: {diff})")
        await self.run_step()
        assert self.store.find(self.key) == before

    async def test_without_a_smoke_test(self) -> None:
        self.push()
        self.build.properties.properties.pop("smoke")
        self.expect_outcome(SUCCESS)
        await self.run_step()
        assert self.property("candidate")["smoke"] == []

    def test_layer_was_changed(self) -> Any:
        self.push()
        path = self.image.layer.path
        expected = self.image.layer.digest.hex
        path.write_bytes(b"another")
        found = "ae448ac86c4e8e4dec645729708ef41873ae79c6dff84eff73360989487f08e5"
        return self.refused(f"{path}: expected sha256 {expected}, found {found}")

    def test_layer_is_gone(self) -> Any:
        self.push()
        self.image.layer.path.unlink()
        return self.refused(f"cannot read {self.image.layer.path}: No such file or directory")

    def test_manifest_was_changed(self) -> Any:
        self.push()
        (self.cell / "manifest.json").write_bytes(b"{}")
        digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        return self.refused(f"x86_64: the record is of another manifest than {digest}")

    def test_config_was_changed(self) -> Any:
        self.push()
        (self.cell / "config.json").write_bytes(b"{}")
        digest = Digest.of(self.image.config)
        return self.refused(f"{self.store.root}: blob {digest} is missing or damaged")

    def test_something_else_is_in_the_stores_place(self) -> Any:
        self.push()
        self.store.root.mkdir()
        (self.store.root / "precious").touch()
        return self.refused(f"{self.store.root} is there and is no OCI image layout")

    def test_no_key(self) -> Any:
        self.push()
        self.set_properties(cell_key="none")
        return self.refused("not a sha256 digest: 'none'")

    async def test_cancelled(self) -> None:
        self.push()
        self.interrupt_when(CandidateStore, "put")
        self.expect_outcome(CANCELLED)
        self.expect_no_property("candidate")
        self.expect_no_property("problem")
        await self.run_step()
        # The thread cannot be stopped: what it stored is whole.
        record = self.store.find(self.key)
        assert record is not None
        self.store.layout.check(record.descriptor)
