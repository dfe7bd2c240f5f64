"""A view that is redrawn in place on a terminal, in rich's own thread."""

from __future__ import annotations

import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from orchestrator.records import Event, TrialEnd
from orchestrator.report.formatting import printable

STATUS_STYLES = {"failed": "red", "diverged": "red", "interrupted": "yellow"}


class Told(Protocol):
    """What a view is drawn from."""

    def take_up(self, events: Iterable[Event]) -> None:
        """Take in what happened before the view was opened."""

    def apply(self, event: Event) -> object:
        """Take in what has just happened."""


class Redrawn(ABC):
    """Draws lines that never outgrow the terminal, ``frames`` times a second at most; failures and notes stay above."""

    def __init__(self, told: Told, frames: int, stream: TextIO | None) -> None:
        self._told = told
        self._console = Console(file=stream or sys.stderr, highlight=False)
        self._lock = threading.Lock()  # rich draws in a thread of its own
        self._live = Live(
            console=self._console,
            get_renderable=self.frame,
            refresh_per_second=frames,
            transient=True,
            redirect_stdout=False,
        )

    @abstractmethod
    def _lines(self, width: int, height: int) -> list[Text]:
        """Return the view's lines for a terminal of that size."""

    @abstractmethod
    def _last_lines(self) -> list[Text]:
        """Return what stays on the screen when the view is closed."""

    def take_up(self, events: Iterable[Event]) -> None:
        """Take in what happened before."""
        self._told.take_up(events)

    def show(self, events: Sequence[Event]) -> None:
        """Take in what has just happened; a failure stays on the screen above the view."""
        with self._lock:
            for event in events:
                self._told.apply(event)
        for end in failures(events):
            self._console.print(Text(failure_line(end), style="red"))

    def note(self, text: str) -> None:
        """Print a sentence above the view, where it stays."""
        self._console.print(Text(printable(text)))

    def frame(self) -> Text:
        """Return the view as it stands, at most as many lines as the terminal has."""
        with self._lock:
            width, height = self._console.size
            lines = self._lines(width, height)
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        return Text("\n").join(lines)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._live.stop()
        with self._lock:
            for line in self._last_lines():
                self._console.print(line)


def failures(events: Sequence[Event]) -> list[TrialEnd]:
    """Return the ends of trials that failed."""
    return [event for event in events if isinstance(event, TrialEnd) and event.status == "failed"]


def failure_line(end: TrialEnd) -> str:
    """Return what a failed trial raised and where the whole of it lies, in one line."""
    file = f" ({end.error_file})" if end.error_file else ""
    return f"trial {end.trial} failed: {printable(end.error or 'no error was given')}{file}"
