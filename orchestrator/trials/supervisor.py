"""Runs a program beside the process that wants it, and leaves nothing of it behind.

``python supervisor.py GRACE SAY [HAND...] -- PROGRAM ARGUMENT...`` with a pipe as its stdin. It is a process of its own
for what no thread can do: it outlives a parent that is killed, and where the system allows it, whatever the program
left running comes back to it as its child. On stdin come ``p`` (pause the program's group) and ``c`` (let it go on);
when stdin is closed, by intent or because the parent is gone, the group gets SIGTERM, and SIGKILL after GRACE seconds.
The descriptor SAY is told ``started PID``, ``paused`` once the program stands still, then ``exit CODE``, ``signal
NUMBER`` or ``error TEXT``. Descriptors HAND are the program's too. Python's own library alone, so that it starts in
hundredths of a second.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

LOOK_SECONDS = 0.05
STOP_SECONDS = 0.1
"""How long a program's stop is waited for: within vfork it stands still as well, but is not seen as stopped."""
LAST_SECONDS = 1.0
"""How long what the program left behind is waited for after its SIGKILL."""
_OF_THE_PARENT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What tells a whole job to end: the parent hears it too, and decides."""
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def main(grace: float, say: int, hand: list[int], program: list[str]) -> None:
    """Run the program to its end, or to that of whoever wanted it."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # a parent's thread may have blocked some
    awake, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        child = _started(program, hand)
    except (OSError, ValueError) as error:
        os.write(say, f"error {error}\n".encode(errors="backslashreplace"))
        return
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2, *hand):  # the program's alone: their end is its end
        os.dup2(nowhere, descriptor)
    os.write(say, f"started {child.pid}\n".encode())
    try:
        _attend(child, awake, grace, say)
        with contextlib.suppress(OSError):
            os.write(say, _ending(child.returncode).encode())
    finally:
        _end_group(child.pid)


def _started(program: list[str], hand: list[int]) -> subprocess.Popen[bytes]:
    def ready() -> None:
        for each in _OF_THE_PARENT:
            signal.signal(each, signal.SIG_DFL)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return subprocess.Popen(
        program,
        stdin=subprocess.DEVNULL,
        pass_fds=hand,
        start_new_session=True,
        preexec_fn=ready,  # this process has one thread
    )


def _attend(child: subprocess.Popen[bytes], awake: int, grace: float, say: int) -> None:
    """Wait for the program's end; end it where nobody wants it any more."""
    ends_at: float | None = None
    wanted = [0]
    while child.poll() is None:
        left = None if ends_at is None else max(0.0, ends_at - time.monotonic())
        ready, _, _ = select.select([awake, *wanted], [], [], left)
        if awake in ready:
            os.read(awake, 4096)
        if 0 in ready:
            asked = os.read(0, 1)
            if asked == b"p":
                _pause(child.pid, say)
            elif asked:
                _signal(child.pid, signal.SIGCONT)
            else:
                wanted, ends_at = [], time.monotonic() + grace
                _signal(child.pid, signal.SIGTERM)
                _signal(child.pid, signal.SIGCONT)  # one that is paused hears nothing
        if ends_at is not None and time.monotonic() >= ends_at:
            _signal(child.pid, signal.SIGKILL)
            child.wait()


def _pause(program: int, say: int) -> None:
    _signal(program, signal.SIGSTOP)
    until = time.monotonic() + STOP_SECONDS
    while hasattr(os, "waitid") and time.monotonic() < until:  # macOS has it from Python 3.13 on
        if os.waitid(os.P_PID, program, os.WSTOPPED | os.WEXITED | os.WNOWAIT | os.WNOHANG):
            break
        time.sleep(0.0005)
    with contextlib.suppress(OSError):
        os.write(say, b"paused\n")


def _ending(code: int) -> str:
    return f"exit {code}\n" if code >= 0 else f"signal {-code}\n"


def _end_group(group: int) -> None:
    """End all that the program left running, in its group and outside of it."""
    until = time.monotonic() + LAST_SECONDS
    while time.monotonic() < until:
        _signal(group, signal.SIGKILL)
        for pid in _descendants():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(LOOK_SECONDS)


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(group, number)


def _descendants() -> list[int]:
    """Return the processes that descend from this one, where the system tells."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parents[int(stat.parent.name)] = int(
                stat.read_text("latin-1").rpartition(")")[2].split()[1]
            )
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {os.getpid()})


def _prctl(option: int, value: int) -> None:
    """Ask Linux for what it alone has; elsewhere the group and the pipe do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _be_grandchild(descriptors: list[int]) -> None:
    """Go on in a child of this process, which waits for it: Ray kills the children of a worker that ends.

    What is no child of anyone's is left for the system to reap, which in a container may do so never.
    """
    child = os.fork()
    if child:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for each in (0, 1, 2, *descriptors):
            os.dup2(nowhere, each)
        os.waitpid(child, 0)
        os._exit(0)


if __name__ == "__main__":
    for each in _OF_THE_PARENT:
        signal.signal(each, signal.SIG_IGN)
    at = sys.argv.index("--")
    handed = [*map(int, sys.argv[3:at])]
    _be_grandchild([int(sys.argv[2]), *handed])
    main(float(sys.argv[1]), int(sys.argv[2]), handed, sys.argv[at + 1 :])
