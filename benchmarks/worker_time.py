"""What the workers of a run do with their time: begin, trace, train, validate, keep states, wait for the driver.

    python benchmarks/worker_time.py [--case digits-mlp] [--trials 256] [--workers 2] [--scheduler asha]

Seconds of all workers together, nested ones left out of those around them: the clock's, and the processor's, since a
clock says little on a busy machine. Workers' ``window`` is from each one's first trial to the run's last report.
``share`` is what epochs and their validation are of that, tracing left out; ``share_of_command`` of the whole run.
Programs are traced anew, but for those in the folder that ORCHESTRATOR_PROGRAMS names, where it is set.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

import orchestrator
from orchestrator.config import parse_experiment
from orchestrator.search import Plan, TrialSpec
from orchestrator.trials import Progress, Trainable
from orchestrator.tuning.protocol import Listener, Outcome, Sitting

EPOCHS = 27
TRAINED = ("epoch", "validation")
BETWEEN = "between reports"


class Spans:
    """What this process has spent its seconds on, by kind."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._clock: dict[str, float] = {}
        self._processor: dict[str, float] = {}
        self._count: Counter[str] = Counter()
        self._kinds = [BETWEEN]
        self._now = self._times()
        self._first: float | None = None

    def _times(self) -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    def _switch(self) -> None:
        """Count what has passed since the last switch as what is going on."""
        before, self._now = self._now, self._times()
        for totals, since, now in zip(
            (self._clock, self._processor), before, self._now, strict=True
        ):
            totals[self._kinds[-1]] = totals.get(self._kinds[-1], 0.0) + now - since

    def begin(self) -> None:
        """Leave out what was before the first trial."""
        if self._first is None:
            self._first, self._now = time.time(), self._times()

    def spent(self, kind: str | Callable[..., str], call: Callable[..., Any]) -> Any:
        """Return a function whose calls count as ``kind``, or as what that says of their arguments."""

        @functools.wraps(call)
        def timed(*args: Any, **options: Any) -> Any:
            self._switch()
            self._kinds.append(kind if isinstance(kind, str) else kind(*args))
            self._count[self._kinds[-1]] += 1
            try:
                return call(*args, **options)
            finally:
                self._switch()
                self._kinds.pop()

        return timed

    def write(self) -> None:
        """Leave the totals in the file."""
        totals = {"clock": self._clock, "processor": self._processor, "count": self._count}
        times = {"first": self._first, "last": time.time(), "born": psutil.Process().create_time()}
        self._file.write_text(json.dumps(totals | times), encoding="utf-8")


@dataclass(frozen=True)
class Timed:
    """A job whose workers write down what they spend their time on."""

    job: Trainable
    notes: Path

    @property
    def home(self) -> Path:
        """Return the job's."""
        return self.job.home

    def open(self) -> TimedWorkbench:
        """Set the process up, and have its code timed."""
        workbench = self.job.open()
        spans = Spans(self.notes / f"{os.getpid()}.json")
        time_keras(spans)
        return TimedWorkbench(workbench, spans)


def time_keras(spans: Spans) -> None:
    """Have this process's training be timed: what is called is replaced by what notes how long it takes."""
    from orchestrator.training import compiled_backend, trainer, trial_session

    for owner, name, kind in (
        (trainer.Trainer, "begin", "begin"),
        (trainer.Trainer, "_build", "build"),
        (trainer.ProgramCache, "_new", "program"),
        (trainer.ProgramCache, "_learn", "initialisers"),
        (trainer.Trainer, "checkpoint", "state"),
        (trial_session.TrialSession, "_save_improved", "state"),
        (trial_session.TrialSession, "keep", "state"),
    ):
        setattr(owner, name, spans.spent(kind, getattr(owner, name)))
    traced: set[tuple[int, str]] = set()

    def traces_or(kind: str) -> Callable[..., str]:
        def known(program: Any, *_: Any) -> str:
            key = (id(program), kind)
            is_known = key in traced
            traced.add(key)
            return kind if is_known else "trace"

        return known

    epoch = compiled_backend.CompiledEpoch
    for name, kind in (("train", "epoch"), ("evaluate", "validation")):
        setattr(epoch, name, spans.spent(traces_or(kind), getattr(epoch, name)))


@dataclass(frozen=True)
class TimedWorkbench:
    """Another's, whose sessions are timed."""

    workbench: Any
    spans: Spans

    def session(self, spec: TrialSpec) -> TimedSession:
        """Return a trial's training."""
        self.spans.begin()
        return TimedSession(self.workbench.session(spec), self.spans)

    @property
    def shaped_by(self) -> frozenset[str]:
        """The other's."""
        return getattr(self.workbench, "shaped_by", frozenset())

    def about(self) -> Mapping[str, Any]:
        """Return the other's."""
        found: Mapping[str, Any] = self.workbench.about()
        return found

    def leave(self) -> None:
        """Leave the process."""
        self.workbench.leave()

    def judge(self, checkpoint: Path, best: Path) -> dict[str, Any]:
        """Examine the winner."""
        found: dict[str, Any] = self.workbench.judge(checkpoint, best)
        return found


class TimedSession:
    """A trial in training."""

    def __init__(self, session: Any, spans: Spans) -> None:
        self._session = session
        self._spans = spans
        self._advance = spans.spent("session", session.advance)

    def advance(self, progress: Progress, seconds: float) -> None:
        """Train until there is something to report."""
        try:
            self._advance(progress, seconds)
        finally:
            self._spans.write()

    def keep(self) -> None:
        """Write the last state."""
        self._session.keep()


def experiment(case: str, trials: int, workers: int, scheduler: str, place: str) -> dict[str, Any]:
    """Return the experiment of a case of ``make bench``."""
    from cases import CASES, SEED

    known = CASES[case]
    caviar = {"num_samples": trials, "max_concurrent_trials": workers, "scheduler": scheduler}
    named = {"name": "timed", "model": known.model, "data": known.data, "report": False}
    space = {"search_space": known.document(), "metric": "val_accuracy", "mode": "max"}
    return named | space | {"epochs": EPOCHS, "seed": SEED, "caviar": caviar, "storage_path": place}


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--case", default="digits-mlp")
    parser.add_argument("--trials", type=int, default=256)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scheduler", default="asha")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="time-") as place:
        print(json.dumps(measured(Path(place), asked), indent=1))


def measured(place: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Run an experiment; return its workers' figures."""
    from orchestrator.tuning.tune import run_plan

    # Else an earlier run's programs would be traced already.
    os.environ.setdefault("ORCHESTRATOR_PROGRAMS", str(place / "programs"))
    used: dict[str, float] = {}

    def timed(plan: Plan, job: Trainable, listener: Listener, sitting: Sitting) -> Outcome:
        used["prepared"] = time.process_time()
        return run_plan(plan, Timed(job, place), listener, sitting)

    began = time.time()
    document = experiment(
        asked.case, asked.trials, asked.workers, asked.scheduler, str(place / "runs")
    )
    run = orchestrator.run(parse_experiment(document), executor=timed, progress=False)
    used |= {"driver": time.process_time() - used["prepared"], "command": time.time() - began}
    workers = [json.loads(file.read_text()) for file in sorted(place.glob("*.json"))]
    epochs = (run.path / "epochs.jsonl").read_bytes().count(b"\n")
    return {"case": asked.case, "trials": asked.trials, "epochs": epochs} | figures(workers, used)


def figures(workers: list[dict[str, Any]], used: Mapping[str, float]) -> dict[str, Any]:
    """Return what the workers' totals come to."""
    last = max(each["last"] for each in workers)
    for each in workers:  # others were still training
        each["clock"]["idle at the end"] = last - each["last"]
    window = sum(last - each["first"] for each in workers)
    kinds = sorted({kind for each in workers for kind in each["clock"]})
    table = {}
    for kind in kinds:
        clock, processor, count = (
            sum(each[of].get(kind, 0.0) for each in workers)
            for of in ("clock", "processor", "count")
        )
        row = {"seconds": round(clock, 2), "of the window": round(clock / window, 3)}
        table[kind] = row | {"processor seconds": round(processor, 2), "times": int(count)}
    trained = sum(each["clock"].get(kind, 0.0) for each in workers for kind in TRAINED)
    reports = sum(each["count"].get("session", 0) for each in workers)
    driver = used["driver"]
    return {
        "workers": len(workers),
        "until the first trial": [round(each["first"] - each["born"], 1) for each in workers],
        "window": round(window, 1),
        "share": round(trained / window, 3),
        "share_of_command": round(trained / (len(workers) * used["command"]), 3),
        "command": round(used["command"], 1),
        "reports": reports,
        "driver_ms_a_report": round(1000 * driver / max(1, reports), 2),
        "kinds": table,
    }


if __name__ == "__main__":
    main()
