"""Where the records of probes are: one file for each worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from minios_steps.core.errors import MiniosError
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

        Raises:
            MiniosError: the file is damaged.
        """
        path = self._path(worker)
        try:
            return ProbeRecord.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            told = str(error).partition("\n")[0]
            raise MiniosError(f"{path} is damaged: {told}", hint="remove it, and probe again") from error

    def _path(self, worker: str) -> Path:
        return self.folder / f"{worker}.json"
