"""`verify_release` where a release is good, where it is not signed, and where it is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from shelfbed import AMD, ARM, Shelf
from supplybed import make_key

from minios_steps.core.errors import ImageError
from minios_steps.core.supply.verify import verify_release

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_a_release_that_is_good(shelf: Shelf) -> None:
    report = shelf.sign().verify()
    assert report.good
    assert report.digest == str(shelf.release.index.descriptor.digest)
    image = ["manifest", "blobs", "cell key", "program", "signature", "sbom", "provenance"]
    assert [(one.of, one.what) for one in report.checks] == [
        *(("index", what) for what in ("digest", "signature", "images")),
        *((of, what) for of in (AMD, ARM) for what in image),
    ]
    assert {one.outcome for one in report.checks} == {"good"}
    assert report.as_json()["checks"][0]["outcome"] == "good"


def test_by_its_digest(shelf: Shelf) -> None:
    digest = shelf.sign().release.index.descriptor.digest
    assert verify_release(shelf.store, digest, shelf.release.project.arches, shelf.key.public).good


def test_without_a_key_signatures_are_not_checked(shelf: Shelf) -> None:
    report = shelf.sign(make_key()).verify(unsigned=True)
    assert report.good
    assert {(one.what, one.outcome) for one in report.checks if one.outcome != "good"} == {
        ("signature", "unchecked")
    }


def test_what_nobody_signed(shelf: Shelf) -> None:
    shelf.plain()
    assert not shelf.faults(unsigned=True)
    assert shelf.faults() == [
        ("index", "signature", "missing"),
        *((of, what, "missing") for of in (AMD, ARM) for what in ("signature", "sbom", "provenance")),
    ]
    assert shelf.detail(AMD, "sbom") == "there is only an unsigned one"


def test_nothing_is_attached(shelf: Shelf) -> None:
    papers = [(of, what, "missing") for of in (AMD, ARM) for what in ("sbom", "provenance")]
    assert shelf.faults(unsigned=True) == papers


def test_another_key(shelf: Shelf) -> None:
    shelf.sign(make_key())
    assert shelf.faults() == [
        ("index", "signature", "bad"),
        *((of, what, "bad") for of in (AMD, ARM) for what in ("signature", "sbom", "provenance")),
    ]
    said = "none of 1 signatures is by this key"
    assert shelf.detail("index", "signature") == f"tag: {said}; referrer: {said}"


def test_a_second_key_does_no_harm(shelf: Shelf) -> None:
    shelf.sign().sign(make_key())
    assert not shelf.faults()


def test_no_such_release(shelf: Shelf) -> None:
    with pytest.raises(ImageError, match="no tag 'nope'"):
        verify_release(shelf.store, "nope", {}, None)


def test_one_image_is_no_release(shelf: Shelf) -> None:
    with pytest.raises(ImageError, match="is one image, expected an index of several"):
        verify_release(shelf.store, shelf.image.digest, {}, None)
