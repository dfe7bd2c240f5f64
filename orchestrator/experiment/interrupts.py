"""Ctrl-C, a polite kill and a terminal that goes away end a run in order; the second one at once."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME_SECONDS = 10
"""How far apart two SIGTERMs, or SIGHUPs, may be and mean one."""


@contextlib.contextmanager
def asked_to_stop() -> Iterator[threading.Event]:
    """Yield the event that the first Ctrl-C, SIGTERM or SIGHUP sets; the second raises KeyboardInterrupt.

    A SIGTERM or SIGHUP soon after the first is the same request: Ray, which is told to stop a job, and Kubernetes,
    which ends its Pod, send one each; a shell that hangs up and its terminal, too. What ``nohup`` has ignored stays so.
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
    heard = [number for number in SIGNALS if not _ignored_hangup(number)]
    before = {number: signal.signal(number, take) for number in heard}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignored_hangup(number: signal.Signals) -> bool:
    return number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN
