"""Our command line in processes of its own, marked in their environment so that all of them are found."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.pages import FAIR
from tests.preloaded import PYTHONPATH

MARK = "ORCHESTRATOR_CHAOS"
NODE = "ORCHESTRATOR_CHAOS_NODE"
LONGEST = 600.0


@dataclass
class Life:
    """One run: its file, its folder, and what its drivers are started with."""

    file: Path
    run: Path
    temporary: Path
    address: str = ""
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.file.with_suffix(".log")
        self.temporary.mkdir(parents=True, exist_ok=True)

    @property
    def mark(self) -> str:
        """What every process of this run has in its environment."""
        return str(self.run)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its drivers."""
        return os.environ | {
            "PYTHONPATH": PYTHONPATH, "TF_CPP_MIN_LOG_LEVEL": "3", "TMPDIR": str(self.temporary),
            "RAY_ADDRESS": self.address, "COLUMNS": "120", MARK: self.mark, **FAIR,
        }  # fmt: skip

    def lines(self, record: str = "epochs.jsonl") -> int:
        """How many whole lines a record has."""
        file = self.run / record
        return file.read_bytes().count(b"\n") if file.exists() else 0

    def orchestrator(self, *words: str, seconds: float = LONGEST) -> subprocess.CompletedProcess:
        """Run a command to its end."""
        command = [sys.executable, "-m", "orchestrator", *words]
        ended = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=seconds,
            check=False,
        )  # fmt: skip
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(words)}\n{ended.stdout}{ended.stderr}[{ended.returncode}]\n")
        return ended

    def drive(self, or_resume: bool = False) -> Driver:
        """Start a driver, as somebody would who finds the run as it is."""
        begun = (self.run / "experiment.yaml").exists()
        words = ("resume", str(self.run)) if begun else ("run", str(self.file))
        if or_resume:
            words = ("run", str(self.file), "--or-resume")
        return Driver(self, words)


class Driver:
    """A driver at work."""

    def __init__(self, life: Life, words: tuple[str, ...]) -> None:
        self.life = life
        with life.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(words)}\n")
            log.flush()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "orchestrator", *words],
                env=life.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._started = time.monotonic()
        self.pid = self._process.pid

    @property
    def seconds(self) -> float:
        """How long ago it was started."""
        return time.monotonic() - self._started

    @property
    def code(self) -> int | None:
        """Its exit code, None while it lives."""
        return self._process.poll()

    def send(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def end(self, seconds: float = LONGEST) -> int:
        """Wait for its end; one that does not come to it is killed, and that is an AssertionError."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the driver did not end in {seconds:g} s") from None

    def kill(self) -> None:
        """Kill it alone, as the machine's memory guard would."""
        self._process.kill()
        self._process.wait()

    def workers(self) -> list[psutil.Process]:
        """The processes that train for it, wherever Ray started them."""
        return [p for p in marked(MARK, self.life.mark) if title(p).startswith("ray::Resource")]


def marked(name: str, value: str) -> list[psutil.Process]:
    """Return the living processes with a variable in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            gone = process.status() == psutil.STATUS_ZOMBIE
            if not gone and process.environ().get(name) == value:
                found.append(process)
    return found


def at_work(life: Life) -> list[psutil.Process]:
    """Return the living processes of a run that do something for it.

    Ray's agents are none: where their node is gone they end by themselves, within a minute.
    """
    return [process for process in marked(MARK, life.mark) if "gent" not in title(process)]


def title(process: psutil.Process) -> str:
    """Return a process's command line, which Ray sets to what a worker does."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def shoot(processes: list[psutil.Process]) -> None:
    """Kill processes, those that are gone already left alone."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)


def until(condition: Callable[[], object], seconds: float, pause: float = 0.03) -> bool:
    """Wait for a condition, looking again after each pause; return whether it came true in time."""
    for _ in _looks(seconds, pause):
        if condition():
            return True
    return bool(condition())


def _looks(seconds: float, pause: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(pause)
