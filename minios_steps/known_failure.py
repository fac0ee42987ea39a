"""`KnownFailure`: what failed before from the same inputs is not compiled again."""

from __future__ import annotations

from buildbot.process.results import SKIPPED

from minios_steps.core.errors import MiniosError
from minios_steps.step import MiniosStep


class KnownFailure(MiniosStep):
    """End the build of a cell that is known to fail.

    Reads the properties `cell_key` and `known_failures`: why and since when, by key. Sets the property
    `known_failure` (true) where the cell's key is among them; else it is skipped.
    """

    name = "known"

    async def work(self) -> int:
        """Look the key up."""
        why = self.getProperty("known_failures", {}).get(str(self.getProperty("cell_key")))
        if why is None:
            return int(SKIPPED)
        self.setProperty("known_failure", True, self.name)
        raise MiniosError(f"not compiled again, the same inputs failed before: {why}")
