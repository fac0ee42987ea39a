"""The last nightly's report in the state folder: once for programs, once for people."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minios_steps.core.nightly.report import NightlyReport, ReportError
from minios_steps.core.nightly.text import report_text
from minios_steps.core.sources.storage import replacing

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class ReportFiles:
    """A folder, made when it is first written, with `report.json` and `report.txt`."""

    folder: Path

    def write(self, report: NightlyReport) -> None:
        """Replace what is there.

        Raises:
            StorageError: the disk is full, or the folder cannot be written.
        """
        data = json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n"
        for name, text in (("report.txt", report_text(report)), ("report.json", data)):
            with replacing(self.folder / name) as stream:
                stream.write(text.encode())

    def read(self) -> NightlyReport:
        """The last report.

        Raises:
            ReportError: there is none, or it is damaged.
        """
        path = self.folder / "report.json"
        try:
            return NightlyReport.from_json(json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            raise ReportError("no nightly has run here yet", hint="run `minios nightly run`") from None
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "not JSON"
            raise ReportError(f"{path}: cannot be read: {why}") from error
