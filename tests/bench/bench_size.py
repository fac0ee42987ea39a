"""How large the images are: bytes of the compressed layer, for each CPU and C library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline import ROOT, arches_of, make_pipeline
from table import Bound, Row

from minios_steps.core.candidates import CandidateStore
from minios_steps.core.config.load import load_project
from minios_steps.core.digest import Digest
from minios_steps.core.oci.model import RawManifest

if TYPE_CHECKING:
    from pathlib import Path

    from options import Options

BOUNDS = {
    ("musl", "static", "x86_64"): Bound(0.90, "MB"),
    ("musl", "static", "aarch64"): Bound(0.90, "MB"),
    ("glibc", "static", "x86_64"): Bound(1.25, "MB"),
}


def rows(options: Options) -> list[Row]:
    """Static images with the full default set of applets; dynamic ones too when it may be long."""
    arches = arches_of(options, load_project(ROOT / "config"))
    pipeline = make_pipeline(options, options.folder / "size")
    variants = ("static", "dynamic") if options.full else ("static",)
    found = []
    for libc in ("musl", "glibc"):
        named = [arch for arch in arches if _link_with(libc, pipeline.config / "arches" / f"{arch}.yaml")]
        if not named:
            continue
        words = [word for arch in named for word in ("--arch", arch)]
        words += [word for variant in variants for word in ("--variant", variant)]
        for cell in pipeline.matrix(*words).cells:
            bytes_ = _layer_bytes(pipeline.state / "store", cell["digest"])
            options.say(f"{cell['arch']} {libc} {cell['variant']}: {bytes_:,} bytes")
            found.append(
                Row(
                    f"image layer, {cell['arch']}, {libc}, {cell['variant']}",
                    f"{bytes_ / 1e6:.2f} MB",
                    bound=BOUNDS.get((libc, cell["variant"], cell["arch"])),
                    judged=bytes_ / 1e6,
                )
            )
    return found


def _link_with(libc: str, arch_file: Path) -> bool:
    """Choose the C library of an arch; says whether it can have this one."""
    text = arch_file.read_text("utf-8")
    if libc == "musl":
        return "\nmusl:" in text
    if "\nlibc:" not in text:
        arch_file.write_text(f"{text}libc: glibc\n", "utf-8")
    return True


def _layer_bytes(store: Path, digest: str) -> int:
    manifest = RawManifest.parse(CandidateStore(store).layout.read(Digest.parse(digest)))
    return sum(layer.size for layer in manifest.layers)
