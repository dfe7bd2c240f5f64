"""A random part of a run is trained again: true records are told from falsified ones, and from changed data or code."""

from __future__ import annotations

import json
import shutil

import pytest

from orchestrator.errors import RequestError
from orchestrator.experiment import audit, run
from orchestrator.experiment.audit import share_of
from orchestrator.records.jsonl import from_line, to_line

NET = """
import keras


def build(hp, input_shape, num_classes):
    return keras.Sequential([
        keras.Input(input_shape), keras.layers.Flatten(),
        keras.layers.Dense(num_classes, activation="softmax"),
    ])
"""


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run of two trials of a model of one's own, in this process."""
    place = tmp_path_factory.mktemp("audited")
    (place / "net.py").write_text(NET)
    return run({
        "name": "one", "model": str(place / "net.py"), "data": "digits", "epochs": 2, "seed": 4,
        "search_space": {"learning_rate": "loguniform(0.01, 0.3)"},
        "storage_path": str(place / "runs"), "caviar": {"num_samples": 2, "scheduler": "none"},
    }, progress=False, executor="inline")  # fmt: skip


@pytest.fixture
def copied(begun, tmp_path):
    """The run in a folder of its own, to be changed."""
    shutil.copytree(begun.path, tmp_path / "runs" / "one")
    return tmp_path / "runs" / "one"


def content_of(folder):
    return {str(file): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def falsify(file, change):
    """Change the lines of a file of records, each with the checksum that then is right."""
    lines = [from_line(line) for line in file.read_bytes().splitlines()]
    for line in lines:
        change(line)
    file.write_bytes(b"".join(map(to_line, lines)))


def test_true_records_are_found_true_to_the_bit_and_left_as_they_were(begun):
    before = content_of(begun.path.parent)
    found = audit(begun, "100 %")
    assert found.verdict == "true"
    assert (found.compared, found.equal) == (len(begun.records.epochs),) * 2 == (found.epochs,) * 2
    assert content_of(begun.path.parent) == before


def test_one_falsified_value_is_found_and_named(copied):
    def change(line):
        if line["trial"] == "00001" and line["epoch"] == 1:
            line["metrics"]["val_accuracy"] += 0.01

    falsify(copied / "epochs.jsonl", change)
    found = audit(copied, 1.0, executor="inline")
    [difference] = found.differences
    assert (found.verdict, found.differing) == ("false", 1)
    assert (difference.trial, difference.epoch, difference.metric) == ("00001", 1, "val_accuracy")
    assert difference.recorded == pytest.approx(difference.retrained + 0.01)


def test_falsified_hyperparameters_are_found(copied):
    def change(line):
        if line["trial"] == "00000" and line["event"] == "started":
            line["hyperparameters"]["learning_rate"] = 0.29

    falsify(copied / "trials.jsonl", change)
    assert audit(copied, 1.0, executor="inline").verdict == "false"


def test_an_epoch_that_training_does_not_come_to_is_found(copied):
    last = from_line((copied / "epochs.jsonl").read_bytes().splitlines()[-1])
    with (copied / "epochs.jsonl").open("ab") as file:
        file.write(to_line({**last, "epoch": 3}))
    found = audit(copied, 1.0, executor="inline")
    assert [(each.epoch, each.retrained) for each in found.differences] == [(3, None)]


def test_a_share_takes_few_trials_by_the_seed_up_to_an_epoch(begun):
    found = [audit(begun, 0.01, seed=seed) for seed in (0, 1)]
    assert {one.compared for one in found} == {1}
    assert {one.verdict for one in found} == {"true"}
    assert {*found[0].trials, *found[1].trials} == {"00000", "00001"}


def test_changed_code_makes_it_unknown(begun):
    file = begun.path.parents[1] / "net.py"
    file.write_text(NET.replace("Flatten()", "Reshape((-1,))"))
    try:
        found = audit(begun, 1.0)
    finally:
        file.write_text(NET)
    assert (found.verdict, found.compared) == ("unknown", 0)
    assert "code of model" in found.why[0]


def test_other_versions_may_have_made_the_difference(copied):
    falsify(copied / "epochs.jsonl", lambda line: line["metrics"].update(val_accuracy=0.5))
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["versions"]["keras"] = "3.0.0"
    (copied / "manifest.json").write_text(json.dumps(manifest))
    found = audit(copied, 1.0, executor="inline")
    assert found.verdict == "unknown"
    assert "keras: 3.0.0 ->" in found.why[0]


@pytest.mark.parametrize("share", ["0 %", "-2 %", "200 %", "much", "nan", ""])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(RequestError, match=r"share: expected a share above 0 and at most 1"):
        share_of(share)


def test_shares_are_read_with_and_without_percent():
    assert [share_of(text) for text in ("2 %", "2%", 0.02, "0.02")] == pytest.approx([0.02] * 4)


def test_the_command_ends_with_the_verdicts_code(begun, copied, cli_here):
    falsify(copied / "epochs.jsonl", lambda line: line["metrics"].update(loss=float("nan")))
    true, false = (
        cli_here("audit", str(folder), "--share", "100 %", "--inline", "--format", "json")
        for folder in (begun.path, copied)
    )
    assert (true.exit_code, json.loads(true.stdout)["verdict"]) == (0, "true")
    assert (false.exit_code, json.loads(false.stdout)["differences"][0]["recorded"]) == (1, "nan")


@pytest.fixture
def cli_here():
    from typer.testing import CliRunner

    from orchestrator.cli.app import app

    return lambda *words: CliRunner().invoke(app, list(words))
