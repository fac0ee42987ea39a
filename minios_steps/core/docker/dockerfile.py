"""The Dockerfile of an image: one layer, labels, environment and command."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from minios_steps.core.errors import ImageError
from minios_steps.core.oci.image import PATH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LAYER = "layer.tar.gz"
"""The layer's file beside the Dockerfile."""

_SPECIAL = re.compile(r'(["\\$])')


def dockerfile(labels: Mapping[str, str], command: Sequence[str]) -> str:
    r"""The text of the Dockerfile.

    `ADD` unpacks the layer with the owners and modes that are in it, which a folder made by a
    worker without root could not have. It stands first: the legacy builder gives an image that
    begins with anything else the engine's own CPU, whatever `--platform` says, and then refuses it.

    Raises:
        ImageError: a label has a line break or another control character.
    """
    for name, value in labels.items():
        if not (name + value).isprintable():
            raise ImageError(f"label {name!r}: {value!r:.80} cannot be written into a Dockerfile")
    pairs = (f"{_quoted(name)}={_quoted(value)}" for name, value in sorted(labels.items()))
    lines = [
        "FROM scratch",
        f"ADD {LAYER} /",
        # In one instruction: the legacy builder starts a container for each.
        f"LABEL {' '.join(pairs)}",
        f"ENV PATH={_quoted(PATH)}",
        f"CMD {json.dumps(list(command))}",
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # In double quotes a Dockerfile knows these three (docker/docs, "Dockerfile reference", "Environment
    # replacement" and "escape").
    return '"' + _SPECIAL.sub(r"\\\1", text) + '"'
