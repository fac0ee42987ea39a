"""200 MB of layers into a registry, by the client inside the master and by `skopeo copy`, alternating.

The client's time is that of its push: a master runs already, while `skopeo` is started each time
(some 30 ms).
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from options import Ratios, median
from table import Row

from minios_steps.core.digest import Digest
from minios_steps.core.oci import media
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.model import SCHEMA, Descriptor, encode
from minios_steps.core.platform import Platform

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from system.registryrig import running_registry

if TYPE_CHECKING:
    from options import Options

CHILD = Path(__file__).with_name("push_child.py")
LAYERS, LAYER_BYTES = 4, 50_000_000


def rows(options: Options) -> list[Row]:
    """Each push into a registry of its own: who knows that a registry has a blob mounts it."""
    root = _layout(options.folder / "layout")
    ours: list[float] = []
    theirs: list[float] = []
    memory: list[float] = []
    for number in range(options.rounds):
        with running_registry(options.folder / f"skopeo-{number}") as registry:
            theirs.append(_skopeo(root, registry.host))
        with running_registry(options.folder / f"ours-{number}") as registry:
            told = _client(root, registry.host)
        ours.append(told["seconds"])
        memory.append(told["extra_mb"])
        options.say(f"push: skopeo {theirs[-1]:.2f} s, minios {ours[-1]:.2f} s")
    ratios = Ratios(theirs, ours)
    return [
        Row(
            f"push of {LAYERS * LAYER_BYTES / 1e6:.0f} MB; skopeo copy",
            baseline=f"{median(theirs):.2f} s",
            ours=f"{median(ours):.2f} s",
            ratio=ratios.middle,
            least=ratios.least,
            most=ratios.most,
        ),
        Row("memory above idle while it is pushed", f"{max(memory):.0f} MB"),
    ]


def _layout(root: Path) -> Path:
    """A layout with one image of random layers, which no compression shrinks."""
    layout = Layout(root)
    # Not secret: the same bytes each time.
    source = random.Random(1)  # noqa: S311
    layers = []
    for _ in range(LAYERS):
        data = source.randbytes(LAYER_BYTES)
        layers.append(Descriptor("application/vnd.oci.image.layer.v1.tar", layout.put_bytes(data), len(data)))
    config = encode(
        {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [str(layer.digest) for layer in layers]},
        }
    )
    layout.put_bytes(config)
    manifest = encode(
        {
            "schemaVersion": SCHEMA,
            "mediaType": media.MANIFEST,
            "config": Descriptor(media.CONFIG, Digest.of(config), len(config)).as_json(),
            "layers": [layer.as_json() for layer in layers],
        }
    )
    descriptor = Descriptor(media.MANIFEST, Digest.of(manifest), len(manifest), Platform("linux", "amd64"))
    layout.publish({"bench": descriptor}, raw=[manifest])
    return root


def _skopeo(root: Path, host: str) -> float:
    started = time.monotonic()
    subprocess.run(
        [
            "skopeo",
            "copy",
            "--quiet",
            "--preserve-digests",
            "--dest-tls-verify=false",
            f"oci:{root}:bench",
            f"docker://{host}/bench:bench",
        ],
        check=True,
        env={**os.environ, "TMPDIR": str(root.parent)},
    )
    return time.monotonic() - started


def _client(root: Path, host: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, str(CHILD), str(root), "bench", host, "bench"],
        check=True,
        capture_output=True,
        text=True,
    )
    told: dict[str, float] = json.loads(done.stdout)
    return told
