"""A digits caviar on one, two and three Ray hosts of one core each, and on a Ray of this machine; needs root.

    python -m benchmarks.hosts [--trials 48] [--only throughput|targets]

Every host has its own network and host name, and all of them share this machine's cores: what is printed are ratios of
one session, to be read beside the load and the number of cores that stand above them.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import psutil
import yaml

from benchmarks.places import PLACES, Place
from orchestrator.records import RunRecords, read_run
from tests.integration.hosts.hosts import HEAD, ROOT, connected, why_not

EPOCHS = 27
PATIENCE_SECONDS = 900


def main() -> None:
    """Measure what the command line asks for and print it as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--trials", type=int, default=48)
    parser.add_argument("--only", choices=("throughput", "targets"))
    asked = parser.parse_args()
    reason = why_not()
    if reason:
        sys.exit(reason)
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{os.cpu_count()} cores, load {load}\n", flush=True)
    if asked.only != "targets":
        throughput(asked.trials)
    if asked.only != "throughput":
        targets()


def throughput(trials: int) -> None:
    """Print trials per second, against those of one slot and one host."""
    print("| where | slots | trials/s | against one local slot | efficiency | s/trial of a slot |")
    print("|---|---:|---:|---:|---:|---:|", flush=True)
    one = None
    for where, slots, run in contestants():
        with tempfile.TemporaryDirectory(prefix="bench-", dir="/var/tmp") as name:
            rate = steady(run(Path(name), write(Path(name), trials, slots)), slots)
        one = one or rate
        ratio, spent = rate / one, slots / rate
        print(
            f"| {where} | {slots} | {rate:.2f} | {ratio:.2f} | {100 * ratio / slots:.0f} % | {spent:.3f} |",
            flush=True,
        )


def contestants() -> Iterator[tuple[str, int, Callable[[Path, Path], RunRecords]]]:
    """Yield (where, how many trials at once, how to run the experiment there)."""
    yield "local", 1, locally
    yield "local", 2, locally
    for many in (1, 2, 3):
        yield f"{many} hosts", many, lambda folder, file, many=many: on_hosts(folder, file, many)


def write(folder: Path, trials: int, slots: int) -> Path:
    """Write the experiment: every trial has all of its epochs, so that the work is the same everywhere."""
    file = folder / "bench.yaml"
    document = {
        "name": "bench", "model": "mlp", "data": "digits", "search_space": "mlp", "seed": 0,
        "epochs": EPOCHS, "storage_path": str(folder / "runs"),
        "caviar": {"num_samples": trials, "max_concurrent_trials": slots, "scheduler": "none"},
    }  # fmt: skip
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    return file


def locally(folder: Path, file: Path) -> RunRecords:
    """Run it on a Ray that it starts itself."""
    command = [sys.executable, "-m", "orchestrator", "run", str(file)]
    subprocess.run(
        command, env=apart(), timeout=PATIENCE_SECONDS, check=True, capture_output=True, cwd=folder
    )
    return read_run(folder / "runs" / "bench")


def on_hosts(folder: Path, file: Path, many: int) -> RunRecords:
    """Run it on hosts, driven from the first."""
    with connected(many) as hosts:
        hosts.start_ray(*range(1, many + 1))
        driver = hosts.drive("run", str(file), log=folder / "driver.log")
        if driver.wait(PATIENCE_SECONDS):
            sys.exit(f"on {many} hosts at {HEAD}: {(folder / 'driver.log').read_text()[-2000:]}")
    return read_run(folder / "runs" / "bench")


def steady(records: RunRecords, slots: int) -> float:
    """Return trials per second once every slot is warm: after as many ends as there are slots, twice."""
    ends = sorted(datetime.fromisoformat(t.ended).timestamp() for t in records.trials if t.ended)
    first = 2 * slots
    return (len(ends) - 1 - first) / (ends[-1] - ends[first])


def targets() -> None:
    """Print the seconds from ``submit`` to the first recorded epoch in each place that this machine can have."""
    print("\n| target | submit returns after s | first epoch after s | against local |")
    print("|---|---:|---:|---:|", flush=True)
    local = None
    for name, place in PLACES.items():
        with contextlib.ExitStack() as stack:
            try:
                at = stack.enter_context(place())
            except (OSError, subprocess.SubprocessError, AssertionError) as error:
                print(f"| {name} | not here: {str(error).splitlines()[0]} | | |", flush=True)
                continue
            submitted, first = submit(at)
            local = local or first
            print(f"| {name} | {submitted:.1f} | {first:.1f} | {first / local:.2f} |", flush=True)


def submit(at: Place) -> tuple[float, float]:
    """Return the seconds until ``submit`` returned and until an epoch was recorded; the run is seen to its end."""
    document = {
        "name": "first", "model": "mlp", "data": "digits", "search_space": "mlp", "epochs": 9,
        "caviar": {"num_samples": 2, "scheduler": "none"}, "target": at.target,
        "storage_path": str(at.folder / "runs"),
    }  # fmt: skip
    (at.folder / "first.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    own = {**apart(), **at.environment, "XDG_STATE_HOME": str(at.folder / "state")}
    command = [*at.prefix, sys.executable, "-m", "orchestrator", "submit", "first.yaml"]
    began = time.perf_counter()
    subprocess.run(
        command, cwd=at.folder, env=own, check=True, capture_output=True, timeout=PATIENCE_SECONDS
    )
    submitted = time.perf_counter() - began
    epochs = at.folder / "runs" / "first" / "epochs.jsonl"
    while not (epochs.exists() and epochs.stat().st_size):
        time.sleep(0.02)
        assert time.perf_counter() - began < PATIENCE_SECONDS, "no epoch came"
    first = time.perf_counter() - began
    while read_run(at.folder / "runs" / "first").status != "finished":
        time.sleep(0.5)
        assert time.perf_counter() - began < PATIENCE_SECONDS, "the run did not end"
    settle()
    return submitted, first


def apart() -> dict[str, str]:
    """Return an environment without anybody's Ray."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return own | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


def settle() -> None:
    """Give what the run has started the time to end."""
    end = time.monotonic() + 10
    while psutil.cpu_percent(0.5) > 50 and time.monotonic() < end:
        pass


if __name__ == "__main__":
    main()
