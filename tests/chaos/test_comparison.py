"""The suite's judge sees every single thing that a kill could change."""

from __future__ import annotations

import json
from random import Random

import pytest
import yaml

from orchestrator.records import RunFolder, read_run
from orchestrator.records.jsonl import read_lines
from tests.chaos.comparison import differences
from tests.chaos.damage import flip, tear

EPOCHS = 3
TIME = "2026-11-22T10:00:00.000+00:00"
EXPERIMENT = {
    "model": "mlp", "data": "digits", "epochs": EPOCHS, "caviar": {"scheduler": "none"},
    "search_space": {"learning_rate": "loguniform(1e-3, 1)"},
}  # fmt: skip


def lines_of_a_run():
    """A finished run of two trials, as lines by record."""
    trials, epochs = [], []
    for index, name in enumerate(("00000", "00001")):
        trials.append({"event": "started", "trial": name, "index": index, "seed": index,
                       "hyperparameters": {"learning_rate": 0.1 + index}, "time": TIME})  # fmt: skip
        for epoch in range(1, EPOCHS + 1):
            metrics = {"loss": 0.1, "val_accuracy": 0.5 + index / 10 + epoch / 100}
            epochs.append(
                {"trial": name, "epoch": epoch, "metrics": metrics, "seconds": 0.1, "time": TIME}
            )
        trials.append({"event": "ended", "trial": name, "status": "finished", "time": TIME})
    scores = {"accuracy": 0.6, "loss": 0.2}
    winner = {"event": "winner", "time": TIME, "trial": "00001", "epoch": 3, "metric": 0.63,
              "validation": scores, "test": scores, "hyperparameters": {}}  # fmt: skip
    events = [
        {"event": "run_started", "time": TIME},
        winner,
        {"event": "run_finished", "time": TIME},
    ]
    return {"trials": trials, "epochs": epochs, "events": events}


@pytest.fixture
def told(tmp_path):
    """`told(change)`: the run's records after ``change(lines)``."""
    made = []

    def make(change=lambda lines: None):
        lines = lines_of_a_run()
        change(lines)
        made.append(RunFolder.create(tmp_path, f"run{len(made)}"))
        made[-1].write_experiment(yaml.safe_dump(EXPERIMENT))
        for record, content in lines.items():
            text = "".join(json.dumps(line) + "\n" for line in content)
            (made[-1].path / f"{record}.jsonl").write_text(text)
        return read_run(made[-1].path)

    return make


def test_a_run_equals_itself(told):
    assert differences(told(), told(), deterministic=True) == []


def last_bit(lines):
    lines["epochs"][1]["metrics"]["loss"] = 0.1 + 2**-56


def another_score(lines):
    lines["events"][1]["test"] = {"accuracy": 0.6000000000000001, "loss": 0.2}


CHANGES = {
    "an epoch lost": lambda lines: lines["epochs"].pop(1),
    "the last epoch lost": lambda lines: lines["epochs"].pop(2),
    "an epoch repeated": lambda lines: lines["epochs"].append(lines["epochs"][0]),
    "a last bit": last_bit,
    "a trial skipped": lambda lines: lines.update(trials=lines["trials"][:2]),
    "another draw": lambda lines: lines["trials"][0]["hyperparameters"].update(learning_rate=0.2),
    "two final statuses": lambda lines: lines["trials"].append(lines["trials"][1]),
    "no final status": lambda lines: lines["trials"].pop(),
    "a failed trial": lambda lines: lines["trials"][1].update(status="failed"),
    "another winner": lambda lines: lines["events"][1].update(trial="00000"),
    "another test score": another_score,
    "no winner": lambda lines: lines["events"].pop(1),
    "not finished": lambda lines: lines["events"].pop(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_it_is_seen(told, change):
    assert differences(told(), told(change), deterministic=True)


def test_under_asha_only_what_both_have_is_compared(told):
    def stopped(lines):
        del lines["epochs"][2]
        by = {"scheduler": "asha", "epoch": 2, "value": 0.5, "cutoff": 0.6}
        lines["trials"][1] |= {"status": "stopped", "stopped_by": by}

    found = differences(told(), told(stopped), deterministic=False)
    assert found == [
        "trial 00000 stopped after 2 epochs, stopped at 2; its rungs say None"
    ]  # nobody stops under the scheduler none
    assert any("epoch 2" in each for each in differences(told(), told(last_bit), False))


@pytest.mark.parametrize("seed", range(20))
def test_a_torn_record_lacks_its_last_line_and_a_flipped_one_is_one_bit_off(told, seed):
    file = told().folder.epochs_file
    whole = file.read_bytes()
    line = flip(file, Random(seed))
    changed = [(a, b) for a, b in zip(whole, file.read_bytes(), strict=True) if a != b]
    assert [(a ^ b).bit_count() for a, b in changed] == [1]
    assert whole.splitlines()[line - 1] != file.read_bytes().splitlines()[line - 1]
    file.write_bytes(whole)
    tear(file, Random(seed))
    with pytest.warns(UserWarning, match="cut short"):
        assert len(read_lines(file)) == 2 * EPOCHS - 1
