"""Ray's start and end, undisturbed by signals.

Ray takes SIGTERM over: from the middle of ``ray.init`` on it would end the process with SIGABRT, and after
``ray.shutdown`` at once.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_DONE = signal.SIGURG
"""Wakes the thread that waits: ignored by default, and nothing else here sends it."""


@contextlib.contextmanager
def undisturbed() -> Iterator[Callable[[Callable[[], object]], object]]:
    """Yield what does an action; a signal that comes meanwhile is delivered right after it.

    All actions of a block happen in one thread, which lives as long as the block (a Ray whose first thread has ended
    takes 15 s to shut down). The main thread waits for signals meanwhile: the system hands a process's signals to its
    main thread wherever that waits for them, so none gets to a handler that an action installs. The handlers are
    afterwards what they were. Outside the main thread signals are not ours, and actions are simply called.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda action: action()
        return
    # What Ray starts inherits the thread's mask, and must hear of signals.
    usual = (signal.SIG_SETMASK, signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    with ThreadPoolExecutor(1, initializer=signal.pthread_sigmask, initargs=usual) as beside:
        yield lambda action: _do(action, beside)


def _do(action: Callable[[], object], beside: ThreadPoolExecutor) -> None:
    """Do ``action`` beside this thread, and raise what it raises, signals first."""
    handlers = {number: signal.getsignal(number) for number in ENDING}
    handlers[_DONE] = signal.signal(_DONE, _nothing)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, handlers)
    try:
        waiting, arrived = threading.get_ident(), []
        doing = beside.submit(action)
        doing.add_done_callback(lambda _: signal.pthread_kill(waiting, _DONE))
        while (number := signal.sigwait(handlers)) != _DONE:
            arrived.append(number)
    finally:
        for number, handler in handlers.items():
            if handler is not None:  # one that was not installed from Python
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    for number in arrived:
        signal.raise_signal(number)
    doing.result()


def _nothing(number: int, frame: Any) -> None:
    """Take a signal that has done its work by arriving."""
