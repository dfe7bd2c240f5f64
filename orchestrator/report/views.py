"""What a person sees while a run goes on: a live view, plain lines, or nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, Self, TextIO

from orchestrator.records import Mode, TrialEnd
from orchestrator.report.live_view import LiveView
from orchestrator.report.plain_view import PlainView


class View(Protocol):
    """What the driver tells a view; every call returns at once."""

    def trial_started(self, trial: str, hyperparameters: Mapping[str, Any]) -> None:
        """Show that a trial began."""

    def epochs(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Show finished epochs, rows as in ``epochs.jsonl``."""

    def trial_ended(self, end: TrialEnd) -> None:
        """Show how a trial ended."""

    def journal(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Show entries of a babysat model's journal."""

    def note(self, text: str) -> None:
        """Show a sentence."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *raised: object) -> None: ...


class NullView:
    """Shows nothing: for callers from Python who asked for no progress."""

    def trial_started(self, trial: str, hyperparameters: Mapping[str, Any]) -> None:
        """Show nothing."""

    def epochs(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Show nothing."""

    def trial_ended(self, end: TrialEnd) -> None:
        """Show nothing."""

    def journal(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        """Leave nothing behind."""


def open_view(
    total_trials: int, epochs: int, metric: str, mode: Mode, stream: TextIO | None = None
) -> LiveView | PlainView:
    """Return the live view where ``stream`` (stderr) is a terminal that can show it, else lines."""
    stream = stream or sys.stderr
    kind = LiveView if _can_redraw(stream) else PlainView
    return kind(total_trials, epochs, metric, mode, stream)


def _can_redraw(stream: TextIO) -> bool:
    refused = any(os.environ.get(name) for name in ("NO_COLOR", "CI"))
    return stream.isatty() and not refused and os.environ.get("TERM") != "dumb"
