"""Ctrl-C and a polite kill end a run in order; the second one at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def asked_to_stop() -> Iterator[threading.Event]:
    """Yield the event that the first Ctrl-C or SIGTERM sets; the second raises KeyboardInterrupt.

    Outside the main thread signals are not ours, and the event stays unset.
    """
    asked = threading.Event()

    def take(number: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.signal(number, take) for number in SIGNALS}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
