"""A view that is redrawn in place on a terminal, in rich's own thread, and listens to keys."""

from __future__ import annotations

import _thread
import contextlib
import os
import select
import sys
import termios
import threading
import tty
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from orchestrator.records import Event, TrialEnd
from orchestrator.report.formatting import printable

STATUS_STYLES = {"failed": "red", "diverged": "red", "interrupted": "yellow"}
_NAMED = {b"\x1b[A": "up", b"\x1bOA": "up", b"\x1b[B": "down", b"\x1bOB": "down", b"\x1b": "escape"}
_NAMED |= {b"\x1b[5~": "page up", b"\x1b[6~": "page down"}
_LOOK_SECONDS = 0.2


class Told(Protocol):
    """What a view is drawn from."""

    def take_up(self, events: Iterable[Event]) -> None:
        """Take in what happened before the view was opened."""

    def apply(self, event: Event) -> object:
        """Take in what has just happened."""


@contextlib.contextmanager
def pressed_keys(heard: Callable[[str], None], stream: TextIO | None = None) -> Iterator[bool]:
    """Tell ``heard`` each key that is pressed while the block runs; yield whether there is a keyboard.

    Where the process is in the background, or its input is no terminal, nothing is read and no setting is changed.
    Ctrl-C stays a signal.
    """
    descriptor = _keyboard(stream or sys.stdin)
    if descriptor is None:
        yield False
        return
    before = termios.tcgetattr(descriptor)
    over = threading.Event()
    listener = threading.Thread(target=_listen, args=(descriptor, heard, over), daemon=True)
    try:
        tty.setcbreak(descriptor, termios.TCSADRAIN)
        listener.start()
        yield True
    finally:
        over.set()
        listener.join()
        if _in_foreground(descriptor):
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _keyboard(stream: TextIO) -> int | None:
    try:
        descriptor = stream.fileno()
        return descriptor if os.isatty(descriptor) and _in_foreground(descriptor) else None
    except (AttributeError, OSError, ValueError):  # replaced by something else, or closed
        return None


def _in_foreground(descriptor: int) -> bool:
    """Return whether this process may read: a background job that does is stopped by the system."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False


def _listen(descriptor: int, heard: Callable[[str], None], over: threading.Event) -> None:
    while not over.is_set():
        try:
            ready, _, _ = select.select([descriptor], [], [], _LOOK_SECONDS)
            if not ready:
                continue
            if not _in_foreground(descriptor):
                over.wait(_LOOK_SECONDS)
                continue
            pressed = os.read(descriptor, 32)
        except OSError:  # the terminal is gone
            return
        if not pressed:
            return
        if pressed in _NAMED:
            heard(_NAMED[pressed])
        elif not pressed.startswith(b"\x1b"):
            for sign in pressed.decode("utf-8", errors="replace"):
                heard(_NAMED.get(sign.encode(), sign))


class Redrawn(ABC):
    """Draws lines that never outgrow the terminal, ``frames`` times a second at most; notes stay above.

    ``KEYS`` are the pages that a key shows, and hides when pressed again: {key: what it is called}. Arrows scroll.
    ``watching``: another process drives the run.
    """

    KEYS: Mapping[str, str]

    def __init__(
        self, told: Told, frames: int, stream: TextIO | None, watching: bool = False
    ) -> None:
        self._told = told
        self._console = Console(file=stream or sys.stderr, highlight=False)
        self._lock = threading.Lock()  # rich draws in a thread of its own
        self._phase: str | None = None
        self._watching = watching
        self._page = ""
        self._scrolled = 0
        self._exits = contextlib.ExitStack()
        self._has_keys = False
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
        """Take in what has just happened."""
        with self._lock:
            for event in events:
                self._told.apply(event)

    def note(self, text: str) -> None:
        """Print a sentence above the view, where it stays."""
        self._console.print(Text(printable(text)))

    def phase(self, text: str | None) -> None:
        """Show what happens while nothing trains; None: something does."""
        self._phase = text

    def press(self, key: str) -> None:
        """Take in a key: one of ``KEYS``, ``up``, ``down``, ``page up``, ``page down``, ``escape``, or ``q``."""
        steps = {"up": -1, "down": 1, "page up": -10, "page down": 10}
        if key in self.KEYS or key == "escape":
            self._page = "" if key in (self._page, "escape") else key
            self._scrolled = 0
        elif key in steps:
            self._scrolled = max(self._scrolled + steps[key], 0)
        elif key == "q" and self._watching:
            _thread.interrupt_main()

    def frame(self) -> Text:
        """Return the view as it stands, at most as many lines as the terminal has."""
        with self._lock:
            width, height = self._console.size
            lines = self._lines(width, height)
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        return Text("\n").join(lines)

    def _scroll(self, lines: list[Text], room: int) -> list[Text]:
        """Return so many of a page's lines, from where it was scrolled to."""
        self._scrolled = min(self._scrolled, max(len(lines) - room, 0))
        return lines[self._scrolled : self._scrolled + max(room, 0)]

    def _key_line(self) -> Text:
        """Return the keys, and what ends the view."""
        shown = [
            f"{key} {'back' if key == self._page else what}" for key, what in self.KEYS.items()
        ]
        shown += ["↑↓ scroll"] if self._page else []
        ends = "q stops watching" if self._watching else "Ctrl-C stops the run"
        return Text("   ".join([*(shown if self._has_keys else ()), ends]), style="dim")

    def __enter__(self) -> Self:
        self._has_keys = self._exits.enter_context(pressed_keys(self.press))
        self._live.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._live.stop()
        self._exits.close()
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
