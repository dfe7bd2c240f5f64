"""Driving a run: its lock held and its heartbeat kept going to the end, and the signals that end it early."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from orchestrator.errors import LockLostError, StopNow
from orchestrator.records import DriverLock, Patience, RunFolder, RunProgress, acquire
from orchestrator.records.lock.driver import BEAT_SECONDS


class Driving:
    """A run that this process drives: its lock, and how far it has come."""

    def __init__(self, lock: DriverLock) -> None:
        self.lock = lock
        self.progress = RunProgress()
        self.lost: LockLostError | None = None

    @property
    def taken_from(self) -> dict[str, Any] | None:
        """The dead driver that the run was taken over from, for its ``taken_over`` event; None where none died."""
        dead = self.lock.predecessor
        if dead is None:
            return None
        names = ("host", "pid", "started", "beat")
        return {name: value for name, value in dead.facts().items() if name in names}

    def check(self) -> None:
        """Raise LockLostError where the run is another driver's by now: asked before each write to its records."""
        if self.lost is not None:
            raise self.lost
        try:
            self.lock.check()
        except LockLostError as error:
            self.lost = error
            raise

    def beat(self) -> None:
        """Write down that this driver lives and how far it has come. Raises LockLostError as ``check`` does."""
        try:
            self.lock.beat(self.progress.heartbeat)
        except LockLostError as error:
            self.lost = error
            raise


@contextmanager
def driving(folder: RunFolder, patience: Patience | None = None) -> Iterator[Driving]:
    """Hold a run's lock and keep its heartbeat going.

    Raises RunExistsError where another drives the run, and LockLostError where another has taken it over meanwhile,
    whatever else came of that.
    """
    driven = Driving(acquire(folder.driver_file, patience=patience))
    heart = _Heart(driven)
    heart.start()
    try:
        yield driven
    except BaseException:
        if driven.lost is None:
            raise
        raise driven.lost from None
    finally:
        heart.stop()
        driven.lock.release()


class _Heart(threading.Thread):
    """Beats every two seconds beside the driver's work; ends it, as Ctrl-C does, where the run is another's."""

    def __init__(self, driven: Driving) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._driven = driven
        self._driver = threading.current_thread()
        self._over = threading.Event()

    def run(self) -> None:
        """Beat until stopped."""
        while not self._over.wait(BEAT_SECONDS):
            try:
                self._driven.beat()
            except LockLostError:
                if self._driver is threading.main_thread() and self._driver.ident is not None:
                    signal.pthread_kill(self._driver.ident, signal.SIGINT)
                return

    def stop(self) -> None:
        """End the beating, and wait for that."""
        self._over.set()
        self.join()


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME_SECONDS = 10
"""How far apart two SIGTERMs, or SIGHUPs, may be and mean one."""


@contextlib.contextmanager
def asked_to_stop() -> Iterator[threading.Event]:
    """Yield the event that the first Ctrl-C, SIGTERM or SIGHUP sets; the second raises StopNow.

    A SIGTERM or SIGHUP soon after the first is the same request: Ray, which is told to stop a job, and Kubernetes,
    which ends its Pod, send one each; a shell that hangs up and its terminal, too. What ``nohup`` has ignored stays so.
    Outside the main thread signals are not ours, and the event stays unset.
    """
    asked = threading.Event()
    first = 0.0

    def take(number: int, frame: Any) -> None:
        nonlocal first
        if number == signal.SIGHUP:
            _let_go_of_a_terminal_that_is_gone()
        if not asked.is_set():
            first = time.monotonic()
            asked.set()
        elif number == signal.SIGINT or time.monotonic() - first > SAME_SECONDS:
            raise StopNow

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


def _let_go_of_a_terminal_that_is_gone() -> None:
    """Have what goes to it dropped: it would be an error now, which would end the run before it is written down."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (1, 2):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor):
                os.dup2(nowhere, descriptor)
        os.close(nowhere)
