"""The winner's examination after the last trial: by the last worker, else by a new one, and within a time limit.

Pure: who examines is handed in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from orchestrator.tuning.failures import Failure
from orchestrator.tuning.protocol import Listener, Verdict

LEAST_SECONDS = 600.0
EPOCHS = 20
"""An examination is given up after the time of so many of the run's slowest epochs, but not before ten minutes."""
LOOK_SECONDS = 0.5
"""How often a waiting driver looks whether it is asked to stop."""


class Examiner(Protocol):
    """A worker that has been asked to examine the winner."""

    def answer(self, seconds: float) -> Mapping[str, Any] | Failure | None:
        """Return the scores, or what happened to the worker; None where neither is known after ``seconds``."""

    @property
    def end(self) -> Callable[[], object]:
        """What ends the worker, whatever it is stuck in."""


class Examination:
    """Sees to it that the winner is examined or that the listener is told why not: then it is ``settled``.

    It is not where the run was asked to stop meanwhile; a resumed run examines again.
    """

    def __init__(
        self,
        listener: Listener,
        stopping: Callable[[], bool],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._listener = listener
        self._stopping = stopping
        self._now = now
        self.settled = False

    def on_last_worker(self, ask: Callable[[Verdict], Examiner]) -> None:
        """Have the last worker examine the winner; where it fails a new one is to try."""
        verdict = self._verdict()
        if verdict is not None:
            self._heard(ask(verdict), verdict)

    def on_new_worker(self, ask: Callable[[Verdict], Examiner]) -> None:
        """Have a new worker examine the winner, again after a wait for room on the disk."""
        verdict = self._verdict()
        while verdict is not None and (failure := self._heard(ask(verdict), verdict)) is not None:
            if failure.kind == "disk" and self._listener.disk.is_or_was_full(failure.bytes_needed):
                continue
            self._listener.not_judged(failure.message)
            self.settled = True
            return

    def _verdict(self) -> Verdict | None:
        if self._stopping():
            return None
        verdict = self._listener.verdict()
        self.settled = verdict is None
        return verdict

    def _heard(self, examiner: Examiner, verdict: Verdict) -> Failure | None:
        """Wait for the answer and pass it on; return what happened to the examiner, None where another is no use."""
        patience = max(LEAST_SECONDS, EPOCHS * verdict.slowest_epoch)
        deadline = self._now() + patience
        while (answer := examiner.answer(LOOK_SECONDS)) is None:
            if self._stopping():
                examiner.end()
                return None
            if self._now() >= deadline:
                examiner.end()
                self.settled = True
                self._listener.not_judged(f"timeout: no answer within {patience:.0f} seconds")
                return None
        if isinstance(answer, Failure):
            return answer
        self._listener.judged(answer)
        self.settled = True
        return None
