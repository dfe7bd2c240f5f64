"""Where the fuzzer starts: what a run's files and a space look like."""

from __future__ import annotations

import json
import re
from pathlib import Path

from orchestrator.records import Request, RunFolder, RunWriter, TrialEnd, write_request
from tests.fuzz.targets import BETWEEN

SPACES = (
    "learning_rate: loguniform(1e-3, 1)\noptimizer: choice([sgd, adam])\n"
    "momentum: {when: {optimizer: sgd}, domain: 'one_minus_loguniform(0.9, 0.99)'}\nunits: 64\n",
    "uniform(0, 0.5, step=0.1)", "choice([a, 'b', \"c\", 1, 2.5, true, null])", "log_integer(min=1, max=512)",
    "{a: {distribution: integer, min: 0, max: 8, step: 2}, b: {value: 3}, c: {distribution: choice, values: [1, x]}}",
)  # fmt: skip
EXPERIMENT = (
    "name: one\nmodel: mlp\ndata: {source: digits}\nstrategy: panda\nmetric: val_accuracy\nmode: max\n"
    "search_space:\n  learning_rate: loguniform(1e-3, 1)\n"
)
ENTRY = {"trial": "00000", "epoch": 1, "day": 1, "stretch": 0}


def spaces() -> list[bytes]:
    """Spaces and domains as one writes them."""
    return [text.encode() for text in SPACES]


def records(folder: Path) -> list[bytes]:
    """A small babysat run, written by the real writer, as one text."""
    run = RunFolder.create(folder, "one")
    run.write_experiment(EXPERIMENT)
    run.write_manifest({"seed": 0})
    with RunWriter(run) as writer:
        writer.event("run_started", host="a", pid=1)
        writer.trial_started("00000", 0, 1, {"learning_rate": 0.1})
        origin = {"run": None, "trial": "00000", "day": 1, "epoch": 1, "stretch": 0}
        writer.trial_started("b", 1, 1, {"learning_rate": 0.2}, origin=origin)
        for epoch in (1, 2):
            metrics = {"val_accuracy": 0.5, "loss": float("nan")}
            writer.epochs([{"trial": "00000", "epoch": epoch, "metrics": metrics, "seconds": 0.1}])
        journal = [
            {**ENTRY, "kind": "day", "metrics": {"loss": 1.0}, "hyperparameters": {"learning_rate": 0.1}},
            {**ENTRY, "kind": "applied", "action": "branch", "branch": "b", "changes": {"learning_rate": [0.1, 0.2]},
             "to_day": 1, "request": "1", "id": "x"},
            {**ENTRY, "kind": "applied", "action": "rollback", "to_day": 0, "to_epoch": 0, "changes": {}, "stretch": 1},
        ]  # fmt: skip
        writer.journal(journal)
        writer.trial_ended(TrialEnd("00000", "stopped", 1.0, stopped_by={"scheduler": "panda"}))
        writer.event(
            "winner", trial="00000", epoch=1, metric=0.5, validation={"loss": 1.0}, test=None
        )
        writer.event("run_finished")
    write_request(run, Request("set", "00000", {"changes": {"learning_rate": 0.5}}))
    files = [run.experiment_file, run.manifest_file, run.trials_file, run.epochs_file, run.events_file,
             run.journal_file, *run.requests.iterdir()]  # fmt: skip
    whole = BETWEEN.join(file.read_bytes() for file in files)
    # With checksums nearly every change is but a damaged line: most of the search is without them.
    return [whole, re.sub(rb', "crc32": "[0-9a-f]{8}"', b"", whole), json.dumps(ENTRY).encode()]
