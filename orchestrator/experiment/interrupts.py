"""Ctrl-C and a polite kill end a run in order; the second one at once."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SAME_SECONDS = 10
"""How far apart two SIGTERMs may be and mean one."""


@contextlib.contextmanager
def asked_to_stop() -> Iterator[threading.Event]:
    """Yield the event that the first Ctrl-C or SIGTERM sets; the second raises KeyboardInterrupt.

    A SIGTERM soon after the first is the same request: Ray, which is told to stop a job, and Kubernetes, which ends
    its Pod, send one each.
    Outside the main thread signals are not ours, and the event stays unset.
    """
    asked = threading.Event()
    first = 0.0

    def take(number: int, frame: Any) -> None:
        nonlocal first
        if not asked.is_set():
            first = time.monotonic()
            asked.set()
        elif number == signal.SIGINT or time.monotonic() - first > SAME_SECONDS:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.signal(number, take) for number in SIGNALS}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
