"""`PushImage` after the image of a cell was built."""

from __future__ import annotations

import json
from typing import Any

from releasebed import IDENTITY, cell, make_project
from stepbed import StepCase
from tinyimage import make_image

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.plan import cell_inputs
from minios_steps.push_image import PushImage

SMOKE = [{"name": "pipe", "outcome": "passed", "detail": "ONE"}]


class PushCase(StepCase):
    def push(self, **kwargs: Any) -> None:
        """The step after the image of a cell was built in `cell`."""
        project = make_project(self.folder / "config")
        inputs = cell_inputs(project, cell(), identity=IDENTITY, prefix="")
        self.key = inputs.key
        self.store = CandidateStore(self.folder / "store")
        self.cell = self.folder / "cell"
        self.cell.mkdir(exist_ok=True)
        self.image = make_image(self.cell, key=str(inputs.key))
        (self.cell / "config.json").write_bytes(self.image.config)
        (self.cell / "manifest.json").write_bytes(self.image.manifest)
        options = {"version": "1.38.0", "variant": "static", **kwargs}
        self.setup_step(PushImage(store=self.store.root, arch="x86_64", **options))
        self.set_properties(
            cell_dir=str(self.cell),
            layer=self.image.layer.as_json(),
            image=self.image.descriptor.as_json(),
            cell_key=str(inputs.key),
            cell_inputs=json.dumps(inputs.as_json()),
            smoke=SMOKE,
        )
