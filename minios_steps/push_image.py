"""`PushImage`: the candidate goes to the store, and to staging, by digest, never under a release tag."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildbot.process.results import SUCCESS

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.cell_record import CellRecord
from minios_steps.core.digest import Digest
from minios_steps.core.oci.model import Descriptor
from minios_steps.core.rebuilt import BuiltImage, keep_built
from minios_steps.core.staging import Staged, stage_candidate
from minios_steps.core.tarball import LayerFile
from minios_steps.registry_step import RegistryStep

if TYPE_CHECKING:
    from minios_steps.core.registry.connect import Connection


class PushImage(RegistryStep):
    """Put a built image into the candidate store and record it under its cell key; then stage it.

    Args:
        store: the candidate store's folder, an OCI image layout.
        arch: the arch's name.
        version: the release; may be a renderable.
        variant: `static` or `dynamic`; may be a renderable.

    With a `registry` it goes on to the arch's staging repository; without one the store is all.
    Idempotent: blobs that are there are not written or sent again. A candidate that was
    `reused` is in the store already; it is sent where staging does not have it any more. When the
    store has another image for the same key, the step fails with `non-reproducible`: the candidate
    stays, and the new image is kept beside it to be compared. Of the backend `docker` the files count.
    Sets the property `candidate`: the record that `TriggerMatrix` and `PublishManifest` read; at night
    also `sent_again` (true), where the registry had some of a reused one no more.
    """

    name = "push"
    renderables = ("version", "variant")

    def __init__(self, *, store: Path, arch: str, version: Any, variant: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store = store
        self.arch = arch
        self.version = version
        self.variant = variant

    async def work(self) -> int:
        """Store the three blobs and the record; send them."""
        if self.getProperty("reused", False):
            record = CellRecord.from_json(self.getProperty("candidate"))
        else:
            record = await self.in_thread(self._push)
        where = ""
        if self.registry:
            staged = await self.connected(self._stage, record)
            record = staged.record
            if staged.lost:
                self.setProperty("sent_again", True, self.name)
            where = f"{', sent to' if staged.sent else ', already at'} {staged.place.partition('@')[0]}"
            await self.addCompleteLog("candidate", f"{staged.place}\n")
        self.setProperty("candidate", record.as_json(), self.name)
        self.summary = f"candidate {record.descriptor.digest.short}, {record.size / 1e6:.2f} MB{where}"
        return int(SUCCESS)

    def _push(self) -> CellRecord:
        folder = Path(self.getProperty("cell_dir"))
        layer = LayerFile.from_json(self.getProperty("layer"))
        descriptor = Descriptor.from_json(self.getProperty("image"))
        config = (folder / "config.json").read_bytes()
        manifest = (folder / "manifest.json").read_bytes()
        record = CellRecord(
            key=Digest.parse(self.getProperty("cell_key")),
            arch=self.arch,
            version=str(self.version),
            variant=self.variant,
            descriptor=descriptor,
            inputs=json.loads(self.getProperty("cell_inputs")),
            smoke=tuple(self.getProperty("smoke", [])),
            size=layer.size + len(config) + len(manifest),
            built=dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        )
        # Of what a Docker engine makes only the files are the same in each build.
        by_files = self.getProperty("backend", "oci") == "docker"
        image = BuiltImage(layer, config, manifest)
        keep_built(CandidateStore(self.store), record, image, by_files=by_files)
        return record

    def _stage(self, connection: Connection, record: CellRecord) -> Staged:
        look = bool(self.getProperty("nightly", False) and self.getProperty("reused", False))
        return stage_candidate(CandidateStore(self.store), record, connection, look=look)
