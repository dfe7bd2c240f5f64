"""Driving a run: its lock held from before the first record until the end, its heart beating meanwhile."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from orchestrator.errors import LockLostError
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
