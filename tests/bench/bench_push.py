"""200 MB of layers into a registry, by the client inside the master and by `skopeo copy`, alternating.

Run by `make bench`. Prints seconds, memory and ratios; judges nothing. The client's time is that of
its push: a master runs already, while `skopeo` is started each time (some 30 ms).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from minios_steps.core.digest import Digest
from minios_steps.core.oci import media
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.model import SCHEMA, Descriptor, encode
from minios_steps.core.platform import Platform

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from system.registryrig import running_registry

CHILD = Path(__file__).with_name("push_child.py")
LAYERS, LAYER_BYTES = 4, 50_000_000


def main() -> None:
    """Measure, with a new registry each time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="minios-bench-") as name:
        folder = Path(name)
        root = _layout(folder / "layout")
        ours: list[float] = []
        theirs: list[float] = []
        memory: list[float] = []
        # Who knows that a registry has a blob mounts it: each push gets a registry of its own.
        for number in range(rounds):
            with running_registry(folder / f"skopeo-{number}") as registry:
                theirs.append(_skopeo(root, registry.host))
            with running_registry(folder / f"ours-{number}") as registry:
                told = _client(root, registry.host)
            ours.append(told["seconds"])
            memory.append(told["extra_mb"])
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    table = Table(title=f"push of {LAYERS * LAYER_BYTES / 1e6:.0f} MB, {rounds} alternating rounds", box=None)
    for column in ("skopeo copy", "minios", "ratio", "least", "most", "memory above idle"):
        table.add_column(column, justify="right")
    table.add_row(
        f"{statistics.median(theirs):.2f} s",
        f"{statistics.median(ours):.2f} s",
        f"{statistics.median(ratios):.3f}",
        f"{min(ratios):.3f}",
        f"{max(ratios):.3f}",
        f"{max(memory):.0f} MB",
    )
    Console().print(table)


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


if __name__ == "__main__":
    main()
