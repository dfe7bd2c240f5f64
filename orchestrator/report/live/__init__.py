"""What a person sees while a run goes on: a live view, plain lines, or nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Protocol, Self, TextIO

from orchestrator.records import Event, Mode
from orchestrator.report.live.caviar import LiveView, PlainView
from orchestrator.report.live.notebook import InNotebook, in_notebook
from orchestrator.report.live.panda import PandaView, PlainPandaView


class View(Protocol):
    """What shows a run; every call returns at once."""

    def take_up(self, events: Iterable[Event]) -> None:
        """Take in what happened before the view was opened; nothing of it is shown by itself."""

    def show(self, events: Sequence[Event]) -> None:
        """Show what has just happened."""

    def note(self, text: str) -> None:
        """Show a sentence."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *raised: object) -> None: ...


class NullView:
    """Shows nothing: for callers from Python who asked for no progress."""

    def take_up(self, events: Iterable[Event]) -> None:
        """Take in nothing."""

    def show(self, events: Sequence[Event]) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        """Leave nothing behind."""


class NotebookView(InNotebook, LiveView):
    """A caviar's view in a notebook."""


class NotebookPandaView(InNotebook, PandaView):
    """A panda's view in a notebook."""


def open_view(
    total_trials: int, epochs: int, metric: str, mode: Mode, stream: TextIO | None = None
) -> LiveView | PlainView:
    """Return the live view where ``stream`` (stderr) is a terminal that can show it, else lines."""
    if stream is None and in_notebook():
        return NotebookView(total_trials, epochs, metric, mode)
    stream = stream or sys.stderr
    kind = LiveView if _can_redraw(stream) else PlainView
    return kind(total_trials, epochs, metric, mode, stream)


def open_panda_view(
    days: int, metric: str, mode: Mode, stream: TextIO | None = None
) -> PandaView | PlainPandaView:
    """Return what ``open_view`` does, for one babysat model that is planned for ``days`` days."""
    if stream is None and in_notebook():
        return NotebookPandaView(days, metric, mode)
    stream = stream or sys.stderr
    kind = PandaView if _can_redraw(stream) else PlainPandaView
    return kind(days, metric, mode, stream)


def _can_redraw(stream: TextIO) -> bool:
    refused = any(os.environ.get(name) for name in ("NO_COLOR", "CI"))
    return stream.isatty() and not refused and os.environ.get("TERM") != "dumb"
