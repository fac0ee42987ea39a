"""Where the records of probes are: one file for each worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from minios_steps.core.machine_probe.facts import ProbeRecord
from minios_steps.core.sources.storage import replacing

if TYPE_CHECKING:
    from pathlib import Path


class ProbeStore:
    """The newest record of each worker.

    Args:
        folder: where the files are; it need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, record: ProbeRecord) -> None:
        """Keep a record in place of the worker's older one.

        Raises:
            MiniosError: the disk is full, or the folder cannot be written.
        """
        with replacing(self._path(record.worker)) as stream:
            stream.write(record.model_dump_json(indent=1).encode())

    def read(self, worker: str) -> ProbeRecord | None:
        """A worker's record; None when it was never probed.

        A damaged one is as good as none: the next probe replaces it.
        """
        try:
            return ProbeRecord.model_validate_json(self._path(worker).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def _path(self, worker: str) -> Path:
        return self.folder / f"{worker}.json"
