from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import pytest
from noticebed import SECRET, Hook
from servebed import serving

from minios_steps.core.cancel import CancelledError
from minios_steps.core.web.failures import TransientError, WebError
from minios_steps.core.web.patience import Patience
from minios_steps.core.web.webhook import deliver, sign

if TYPE_CHECKING:
    from collections.abc import Iterator

FAST = Patience(2, 2, 10, tries=3, unreachable_tries=2, first_wait=0.001, longest_wait=0.01)
BODY = b'{"event": "recovery", "id": "7"}'


@pytest.fixture
def hook() -> Iterator[Hook]:
    with serving(Hook()) as server:
        yield server


def post(url: str, *, secret: str = SECRET, insecure: bool = True, **more: Any) -> list[str]:
    waits: list[str] = []
    more.setdefault("cancelled", lambda: False)
    deliver(
        url,
        BODY,
        event="recovery",
        delivery="7",
        secret=secret,
        insecure=insecure,
        patience=FAST,
        tell=lambda error, _wait: waits.append(error.what),
        **more,
    )
    return waits


def test_signature_is_what_others_compute() -> None:
    expected = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    assert sign(SECRET, BODY) == f"sha256={expected}"


def test_delivered(hook: Hook) -> None:
    assert post(hook.url) == []
    assert hook.told == [{"event": "recovery", "id": "7"}]


def test_body_of_the_answer_is_not_waited_for(hook: Hook) -> None:
    hook.body_bytes = 1 << 40
    # 204 has no body.
    hook.statuses = [200]
    assert post(hook.url) == []
    assert len(hook.deliveries) == 1


def test_tried_again_under_the_same_name(hook: Hook) -> None:
    hook.statuses = [500, 429]
    assert len(post(hook.url)) == 2
    assert hook.deliveries == ["7"] * 3
    assert len(hook.told) == 1


def test_given_up(hook: Hook) -> None:
    hook.statuses = [503] * 9
    with pytest.raises(TransientError, match="HTTP 503"):
        post(hook.url)
    assert len(hook.deliveries) == 3


@pytest.mark.parametrize("status", [302, 400, 403, 404])
def test_refused_at_once(hook: Hook, status: int) -> None:
    hook.statuses = [status]
    with pytest.raises(WebError, match=f"HTTP {status}"):
        post(hook.url)
    assert len(hook.deliveries) == 1


def test_wrong_secret(hook: Hook) -> None:
    with pytest.raises(WebError, match="HTTP 403"):
        post(hook.url, secret="another")


def test_nobody_there() -> None:
    with pytest.raises(TransientError, match="connection refused"):
        post("http://127.0.0.1:1/")


def test_plain_http_is_asked_for(hook: Hook) -> None:
    with pytest.raises(WebError, match="http is not allowed") as caught:
        post(hook.url, insecure=False)
    assert "insecure: true" in caught.value.hint
    assert hook.deliveries == []


def test_cancelled(hook: Hook) -> None:
    with pytest.raises(CancelledError):
        post(hook.url, cancelled=lambda: True)
    assert hook.deliveries == []
