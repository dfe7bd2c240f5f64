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

    def phase(self, text: str | None) -> None:
        """Show what happens while nothing trains; None: something does."""

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

    def phase(self, text: str | None) -> None:
        """Show nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        """Leave nothing behind."""


class NotebookView(InNotebook, LiveView):
    """A caviar's view in a notebook."""


class NotebookPandaView(InNotebook, PandaView):
    """A panda's view in a notebook."""


def open_view(  # noqa: PLR0913 (what a run is, and where it is shown)
    total_trials: int,
    epochs: int,
    metric: str,
    mode: Mode,
    stream: TextIO | None = None,
    watching: bool = False,
) -> LiveView | PlainView:
    """Return the live view where ``stream`` (stderr) is a terminal or a notebook that can show it, else lines.

    ``watching``: another process drives it.
    """
    if stream is None and in_notebook():
        return NotebookView(total_trials, epochs, metric, mode, watching=watching)
    stream = stream or sys.stderr
    if _can_redraw(stream):
        return LiveView(total_trials, epochs, metric, mode, stream, watching)
    return PlainView(total_trials, epochs, metric, mode, stream)


def open_panda_view(  # noqa: PLR0913 (as open_view)
    days: int,
    metric: str,
    mode: Mode,
    stream: TextIO | None = None,
    run: str = "RUN",
    watching: bool = False,
) -> PandaView | PlainPandaView:
    """Return what ``open_view`` does, for one babysat model that is planned for ``days`` days.

    ``run`` is what the run is called in a command.
    """
    if stream is None and in_notebook():
        return NotebookPandaView(days, metric, mode, run=run, watching=watching)
    stream = stream or sys.stderr
    if _can_redraw(stream):
        return PandaView(days, metric, mode, stream, run, watching)
    return PlainPandaView(days, metric, mode, stream)


def _can_redraw(stream: TextIO) -> bool:
    refused = any(os.environ.get(name) for name in ("NO_COLOR", "CI"))
    return stream.isatty() and not refused and os.environ.get("TERM") != "dumb"
