"""Pushes blobs to a registry as the master does, and tells its own memory: the child of bench_push."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from minios_steps.core.digest import Digest
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.model import MANIFEST_LIMIT, RawManifest
from minios_steps.core.registry.client import Registry
from minios_steps.core.registry.endpoint import Endpoint

KILOBYTES = 1000
"""Of `ru_maxrss` in a megabyte (getrusage(2): kilobytes)."""


def main() -> None:
    """Arguments: layout, tag, HOST:PORT, repository. Prints seconds and megabytes as JSON."""
    root, tag, host, name = sys.argv[1:]
    layout = Layout(Path(root))
    descriptor = layout.tags()[tag]
    # Everything is imported and a connection was made: what the push adds is the push's.
    with Registry(Endpoint(host, plain_http=True)) as registry:
        registry.ping()
        idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.monotonic()
        repository = registry.repository(name)
        raw = layout.read(descriptor.digest, MANIFEST_LIMIT)
        manifest = RawManifest.parse(raw)
        for blob in (manifest.config, *manifest.layers):
            repository.upload_blob(layout.blob_path(blob.digest), blob.digest)
        repository.ensure_manifest(Digest.of(raw), raw, descriptor.media_type)
        seconds = time.monotonic() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stdout.write(json.dumps({"seconds": seconds, "extra_mb": (peak - idle) / KILOBYTES}))


if __name__ == "__main__":
    main()
