"""How long and how often a server is asked: bounded tries, back-off with jitter, cancellable waits."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import tenacity

from minios_steps.core.cancel import pause
from minios_steps.core.web.failures import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How long an exchange with a server may take.

    Args:
        connect: seconds for a connection.
        read: seconds without a byte.
        total: seconds for everything.
        tries: connections to a server that answers.
        unreachable_tries: connections to a server that does not answer: the next one may be faster.
        first_wait: seconds before the second try; doubled for each further one, plus some jitter.
        longest_wait: seconds; a server that asks for more is given up.
    """

    connect: float = 7
    read: float = 15
    total: float = 600
    tries: int = 5
    unreachable_tries: int = 2
    first_wait: float = 0.5
    longest_wait: float = 30


class Persistence:
    """One piece of work, tried until it is done or makes no sense any more.

    Args:
        patience: the bounds; `total` counts from now.
        cancelled: asked while waiting.
        tell: called before each wait with the failure and the seconds to wait.
    """

    def __init__(
        self,
        patience: Patience,
        cancelled: Callable[[], bool],
        tell: Callable[[TransientError, float], None],
    ) -> None:
        self.patience = patience
        self.cancelled = cancelled
        self.tell = tell
        self.deadline = time.monotonic() + patience.total

    @property
    def overdue(self) -> bool:
        """Whether the time for everything is over."""
        return time.monotonic() > self.deadline

    def run(self, work: Callable[[], T]) -> T:
        """Call `work` again for each `TransientError`, within the bounds; the last one is raised."""
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            stop=self._give_up,
            wait=self._wait,
            before_sleep=self._before_sleep,
            sleep=lambda seconds: pause(seconds, self.cancelled),
            reraise=True,
        )(work)

    def _give_up(self, state: tenacity.RetryCallState) -> bool:
        error = _error_of(state)
        tries = self.patience.unreachable_tries if error.unreachable else self.patience.tries
        longest = min(self.patience.longest_wait, self.deadline - time.monotonic())
        return state.attempt_number >= tries or (error.wait or 0) > longest or longest <= 0

    def _wait(self, state: tenacity.RetryCallState) -> float:
        first, longest = self.patience.first_wait, self.patience.longest_wait
        # The jitter keeps masters that failed together from coming back together.
        backoff = tenacity.wait_exponential(first, longest) + tenacity.wait_random(0, first)
        return max(backoff(state), _error_of(state).wait or 0)

    def _before_sleep(self, state: tenacity.RetryCallState) -> None:
        self.tell(_error_of(state), state.next_action.sleep if state.next_action else 0)


def _error_of(state: tenacity.RetryCallState) -> TransientError:
    error = state.outcome.exception() if state.outcome else None
    return error if isinstance(error, TransientError) else TransientError("")
