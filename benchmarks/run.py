"""`make bench`: every contestant, one process after another, on the same data, space and epochs.

    python benchmarks/run.py [--quick] [--cases digits-mlp:64 ...] [--peers ours ray-tune ...]
                             [--peer-trials N]

Prints a table and the bars; writes `benchmarks/results/<date>.json` and `.md` after every run, so
that an interrupted benchmark keeps what it measured. Exits 1 if a contestant failed, never for a
missed bar: the table says it.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import measure
import peer
import psutil
from cases import CASES, ROOT, write_split
from table import OURS, markdown

FOLDER = Path(__file__).resolve().parent
PEERS: dict[str, tuple[str, ...]] = {
    OURS: ("ours.py",),
    "ray-tune": ("plain_ray_tune.py",),
    "keras-tuner": ("keras_tuner_hyperband.py",),
    "optuna": ("optuna_halving.py",),
    "optuna-threads": ("optuna_halving.py", "--concurrent", "2"),
}
FULL = (
    "digits-mlp:64", "digits-mlp:256", "mnist5k-cnn:16", "letters-mlp:24", "letters-wide:8",
)  # fmt: skip
QUICK = ("digits-mlp:8", "mnist5k-cnn:8")
PACKAGES = ("keras", "keras-tuner", "numpy", "optuna", "ray", "tensorflow", "tensorflow-cpu")


def main() -> None:
    """Run what the command line asks for."""
    arguments = parse()
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d-%H%M%S")
    report: dict[str, Any] = {"date": stamp, "machine": machine(), "rows": []}
    arguments.results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="split-") as name:
        splits = {
            case: write_split(CASES[case], Path(name) / f"{case}.npz")
            for case, _ in arguments.cases
        }
        for case, trials in arguments.cases:
            for contestant in arguments.peers:
                print(f"{case}, {trials} trials: {contestant} …", file=sys.stderr, flush=True)
                row = contest(contestant, case, trials, arguments, splits[case])
                report["rows"].append(row)
                write(report, arguments.results / stamp)
    print(markdown(report["rows"]))
    sys.exit(1 if any("error" in row for row in report["rows"]) else 0)


def parse() -> argparse.Namespace:
    """Return the command line's arguments, `cases` as pairs of name and trials."""
    parser = argparse.ArgumentParser(description="Measure ours against its peers.")
    parser.add_argument("--cases", nargs="+", metavar="CASE:TRIALS", help=" ".join(FULL))
    parser.add_argument("--quick", action="store_true", help="8 trials of each case")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--peer-trials", type=int, metavar="N", help="no peer runs more than N")
    parser.add_argument("--epochs", type=int, default=peer.MAX_EPOCHS)
    parser.add_argument("--timeout", type=float, default=7200.0, metavar="SECONDS", help="of one")
    parser.add_argument("--results", type=Path, default=FOLDER / "results", metavar="FOLDER")
    arguments = parser.parse_args()
    try:
        arguments.cases = [
            case(text) for text in arguments.cases or (QUICK if arguments.quick else FULL)
        ]
    except ValueError as error:
        parser.error(str(error))
    return arguments


def case(text: str) -> tuple[str, int]:
    """Return the name and the trials of `digits-mlp:64`."""
    name, _, trials = text.partition(":")
    if name not in CASES or not trials.isdigit() or int(trials) < 1:
        known = ", ".join(sorted(CASES))
        raise ValueError(f"--cases: expected CASE:TRIALS. Received: {text!r}. Known: {known}.")
    return name, int(trials)


def contest(
    contestant: str, name: str, trials: int, arguments: argparse.Namespace, data: Path
) -> dict[str, Any]:
    """Return one row: the figures, or the error and the end of the log."""
    run = trials
    if contestant != OURS and arguments.peer_trials is not None:
        run = min(trials, arguments.peer_trials)
    script, *options = PEERS[contestant]
    command = [str(FOLDER / script), "--case", name, "--trials", str(run), *options]
    command += ["--epochs", str(arguments.epochs)]
    row = {"peer": contestant, "case": name, "asked": trials, "run": run}
    try:
        return {**row, **peer.measured(command, data, timeout_seconds=arguments.timeout)}
    except peer.Failed as failure:
        print(failure, file=sys.stderr)
        return {**row, "error": str(failure)}


def write(report: dict[str, Any], stem: Path) -> None:
    """Write what was measured so far as JSON and as Markdown."""
    stem.with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    facts = [f"- {name}: {value}" for name, value in report["machine"].items()]
    page = [f"# Benchmark of {report['date']} (UTC)", "", *facts, "", markdown(report["rows"])]
    stem.with_suffix(".md").write_text("\n".join(page), encoding="utf-8")


def machine() -> dict[str, Any]:
    """Return where this was measured and with what."""
    return {
        "system": platform.platform(),
        "cores": peer.available_cores(),
        "memory_gb": round(psutil.virtual_memory().total / measure.MEGABYTE / 1024, 1),
        "load": psutil.getloadavg()[0],
        "python": platform.python_version(),
        "commit": commit(),
        **{package: version for package in PACKAGES if (version := installed(package))},
    }


def installed(package: str) -> str | None:
    """Return the version, None where the package is absent."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def commit() -> str:
    """Return the commit, with a `+` where the checkout differs from it; empty outside of git."""

    def git(*words: str) -> str:
        answer = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
        return answer.stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain") else "")


if __name__ == "__main__":
    main()
