"""One run's life: begun, hit, taken up again until it is done, and compared with the reference."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from orchestrator.errors import OrchestratorError
from orchestrator.records import RunRecords, read_run
from orchestrator.tuning.scratch import scratch_folder
from tests.chaos.comparison import Damage, differences
from tests.chaos.disk import Disk
from tests.chaos.driver import LONGEST, MARK, Driver, Life, marked, shoot, until
from tests.chaos.experiment import EPOCHS, KINDS, LATER, PAUSE_DAY, REQUESTS, write_experiment
from tests.chaos.moments import Moment, draw_moments
from tests.chaos.nodes import Cluster
from tests.chaos.weapons import WEAPONS, Range, TooLate

TRIES = 4
"""How often a driver that ends before its run does is followed by another."""

AGENTS_SECONDS = 150.0
"""How long Ray's agents may take to end after the last driver was killed."""


@dataclass
class Story:
    """What happened to one run, and what of it was not as it should be."""

    name: str
    kind: str
    hits: list[tuple[str, Moment, str]] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    records: RunRecords | None = None
    seconds: float = 0.0


@dataclass
class Ground:
    """Where stories happen: a folder, a short one for Ray's sockets, and what may be broken there."""

    folder: Path
    temporary: Path
    random: Random
    cluster: Cluster | None = None
    disk: Disk | None = None
    epochs: int = EPOCHS

    def tell(
        self,
        kind: str,
        name: str,
        weapons: Sequence[str],
        reference: RunRecords | None = None,
        rows: int | None = None,
    ) -> Story:
        """Run one experiment through ``weapons`` to its end; without any it is the reference itself.

        ``rows`` are the epochs that it trains in all: moments lie among them. Left out, they are the reference's.
        """
        story = Story(name, kind)
        begun = time.monotonic()
        life = self._life(kind, name)
        try:
            self._live(life, story, weapons, rows or (len(reference.epochs) if reference else 0))
            story.records = read_run(life.run, exact=True)
            if reference is not None:
                same = KINDS[kind].deterministic
                story.faults += differences(reference, story.records, same, _damage(weapons))
            story.faults += leftovers(life)
        except (AssertionError, OrchestratorError, subprocess.SubprocessError, OSError) as error:
            story.faults.append(f"{type(error).__name__}: {error}")
        finally:
            shoot(marked(MARK, life.mark))
            if self.disk is not None:
                self.disk.free()
        story.seconds = time.monotonic() - begun
        return story

    def _life(self, kind: str, name: str) -> Life:
        storage = self.disk.path if self.disk else self.folder / "runs"
        file = write_experiment(KINDS[kind], name, self.folder, storage, self.epochs)
        address = self.cluster.address if self.cluster else ""
        return Life(file, storage / name, self.temporary / name[:6], address)

    def _live(self, life: Life, story: Story, weapons: Sequence[str], epochs: int) -> None:
        driver = life.drive()
        if story.kind == "panda":
            _ask(life, driver)
        aim = Range(self.random, self.cluster, self.disk)
        for weapon, moment in zip(weapons, draw_moments(self.random, len(weapons)), strict=True):
            if driver.code is not None and not _finished(life):
                driver = life.drive(or_resume=self.random.random() < 0.3)
            if not moment.wait(driver, epochs):
                story.missed.append(weapon)
                continue
            # Noted before: a shot whose weapon finds something wrong is one that was made.
            story.hits.append((weapon, moment, "went wrong"))
            try:
                story.hits[-1] = (weapon, moment, WEAPONS[weapon](driver, aim))
            except TooLate:
                story.hits.pop()
                story.missed.append(weapon)
        _to_the_end(life, driver)


def _damage(weapons: Sequence[str]) -> Damage:
    flips = sum("flipped" in weapon for weapon in weapons)
    return Damage(any("torn" in weapon for weapon in weapons), flips)


def _to_the_end(life: Life, driver: Driver) -> None:
    codes = [driver.end()]
    while not _finished(life) and len(codes) < TRIES:
        codes.append(life.drive().end())
    assert _finished(life), f"not finished after drivers that ended with {codes}: {_tail(life)}"


def _finished(life: Life) -> bool:
    with contextlib.suppress(OrchestratorError):
        return read_run(life.run).status == "finished"
    return False


def _tail(life: Life) -> str:
    return life.log.read_text(encoding="utf-8", errors="replace")[-600:]


def _ask(life: Life, driver: Driver) -> None:
    """Ask the panda for everything that it is to do later."""

    def ask(request: tuple[str, ...]) -> int:
        action, *rest = request
        return life.orchestrator(action, str(life.run), *rest).returncode

    assert until(lambda: life.lines("trials.jsonl") or driver.code is not None, LONGEST)
    with ThreadPoolExecutor() as at_once:
        codes = list(at_once.map(ask, REQUESTS))
    trained = 2 * (PAUSE_DAY - 1)
    assert until(lambda: life.lines() >= trained or driver.code is not None, LONGEST)
    codes += [ask(request) for request in LATER]
    assert not any(codes), f"asking ended with {codes}: {_tail(life)}"


def leftovers(life: Life) -> list[str]:
    """Return what stays of a run that is done."""
    until(lambda: not marked(MARK, life.mark), AGENTS_SECONDS, pause=0.5)
    found = [f"process {process.pid} stays behind" for process in marked(MARK, life.mark)]
    for prefix in ("orch-", "orchestrator-tune-"):
        with scratch_folder(prefix, str(life.temporary)):
            pass  # as the next driver begins: what agents wrote to until now goes with it
    piled = [path.name for path in life.temporary.glob("orch*")]
    found += [f"{name} stays behind" for name in piled]
    half = [*life.run.rglob("*.part"), *life.run.glob(".room-*")]
    return found + [f"{path.name} stays behind" for path in half]


@contextlib.contextmanager
def ground(seed: int, folder: Path | None = None, epochs: int = EPOCHS) -> Iterator[Ground]:
    """Have a place for stories; one that was made for them is removed again."""
    temporary = Path(tempfile.mkdtemp(prefix="chaos-", dir="/tmp"))
    try:
        yield Ground(folder or temporary / "stories", temporary, Random(seed), epochs=epochs)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
