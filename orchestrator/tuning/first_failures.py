"""A run whose first trials all fail with the same error is given up: the others would, too."""

from __future__ import annotations

from orchestrator.records import GIVEN_UP, TrialEnd, shared_error

TRIALS = 10
"""How many trials have to fail alike, before any other has ended otherwise."""


class FirstFailures:
    """Remembers the errors of the first trials that end."""

    def __init__(self, watching: bool) -> None:
        self._watching = watching
        self._errors: list[str] = []

    def ended(self, end: TrialEnd) -> None:
        """Note how a trial ended; one that was cut off says nothing."""
        if end.status == "interrupted" or not self._watching:
            return
        if end.status == "failed" and end.error and len(self._errors) < TRIALS:
            self._errors.append(end.error)
        self._watching = end.status == "failed" and shared_error(self._errors) is not None

    @property
    def reason(self) -> str | None:
        """Return why the run is given up, in words; None where it is not."""
        if not self._watching or len(self._errors) < TRIALS:
            return None
        return (
            f"{GIVEN_UP}: the first {TRIALS} trials failed with the same error: {self._errors[0]}"
        )
