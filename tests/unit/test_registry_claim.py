"""The claim on a repository: one master moves tags at a time, and a dead one stops nobody for long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from registrybed import serving

from minios_steps.core.cancel import CancelledError
from minios_steps.core.registry.claim import CLAIM_TAG, Claim, ClaimedError, Holder, Times, claimed
from minios_steps.core.registry.store import RegistryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registrybed import Bed, Handler

ONE, TWO = Holder("one", "minios on host one"), Holder("two", "minios on host two")
QUICK = Times(settle=0.01, within=20)


@pytest.fixture
def bed() -> Iterator[Bed]:
    with serving() as found:
        yield found


@pytest.fixture
def store(bed: Bed) -> Iterator[RegistryStore]:
    with bed.client() as client:
        yield RegistryStore(client, "team/app")


def test_nobody_else_meanwhile(store: RegistryStore) -> None:
    with claimed(store, ONE, QUICK) as claim:
        claim.check()
        with pytest.raises(ClaimedError) as caught, claimed(store, TWO, QUICK):
            pass
        assert caught.value.what.startswith(f"{store.name}: minios on host one moves its tags, since 20")
        assert "until 20" in caught.value.what
        claim.check()
    with claimed(store, TWO, QUICK):
        pass
    assert store.tags() == ()


def test_own_claim_that_was_left_behind(store: RegistryStore) -> None:
    Claim(store, ONE, QUICK).take()
    with claimed(store, ONE, QUICK):
        pass


def test_expired_claim(store: RegistryStore) -> None:
    Claim(store, ONE, Times(settle=0, within=20, lease=0.2)).take()
    second = Claim(store, TWO, Times(settle=0.01, within=20))
    with pytest.raises(ClaimedError):
        second.take()
    for _ in range(1000):
        try:
            second.take()
        except ClaimedError:
            continue
        return
    pytest.fail("it never expired")


def test_somebody_writes_over_it_while_it_settles(bed: Bed, store: RegistryStore) -> None:
    def overtaken(handler: Handler) -> None:
        handler.route(handler.path)
        with bed.client() as client:
            Claim(RegistryStore(client, "team/app"), ONE, QUICK).take()

    bed.fault("PUT", CLAIM_TAG, overtaken)
    with pytest.raises(ClaimedError, match="minios on host one moves its tags"):
        Claim(store, ONE, QUICK).take()


def test_what_is_lost_is_noticed(bed: Bed, store: RegistryStore) -> None:
    with claimed(store, ONE, QUICK) as claim:
        del bed.repo().manifests[CLAIM_TAG]
        with pytest.raises(ClaimedError, match="was lost"):
            claim.check()


def test_it_is_renewed_in_time(bed: Bed, store: RegistryStore) -> None:
    with claimed(store, ONE, Times(settle=0.01, within=20, lease=30)) as claim:
        claim._until = 0
        sent = len(bed.methods("PUT"))
        claim.check()
        assert len(bed.methods("PUT")) == sent + 1
        claim.check()
        assert len(bed.methods("PUT")) == sent + 1


def test_too_slow(store: RegistryStore) -> None:
    with pytest.raises(ClaimedError, match=r"the registry took .* s to note who moves the tags"):
        Claim(store, ONE, Times(settle=0, within=0)).take()


def test_something_else_under_its_tag(store: RegistryStore, bed: Bed) -> None:
    bed.repo().manifests[CLAIM_TAG] = (b"{}", "application/json")
    with claimed(store, ONE, QUICK):
        pass


def test_cancelled(store: RegistryStore) -> None:
    with pytest.raises(CancelledError), claimed(store, ONE, Times(settle=60), lambda: True):
        pass


def test_the_claim_of_a_failed_release_is_given_back(store: RegistryStore) -> None:
    with pytest.raises(RuntimeError), claimed(store, ONE, QUICK):
        raise RuntimeError
    with claimed(store, TWO, QUICK):
        pass
