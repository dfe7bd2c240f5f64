from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import typer

from orchestrator.cli import run as commands
from orchestrator.cli.output import Destination, destination
from orchestrator.experiment import open_run
from orchestrator.records import RunFolder

EXPERIMENT = """\
model: mlp
data: digits
search_space: {learning_rate: "loguniform(1e-3, 1)", units: 16, batch_size: 256}
epochs: 2
caviar: {num_samples: 2, max_concurrent_trials: 1}
"""
FAILS = """\
import keras


class Failing(keras.Sequential):
    def train_step(self, data):
        raise ValueError(self.units)


def build(hp, input_shape, num_classes):
    model = Failing(
        [keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(num_classes, activation="softmax")]
    )
    model.units = hp["units"]
    return model
"""
ON_SCREEN = Destination("table", None)


def outcome(name: str, where: Destination, capsys) -> tuple[str, str]:
    commands.print_outcome(open_run(name), where)
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_the_screen_gets_the_ten_best_and_how_many_more(a_run, capsys):
    a_run("many", trials=64)
    out, err = outcome("many", ON_SCREEN, capsys)
    assert [line[:5] for line in out.splitlines() if line.startswith("000")][::9] == [
        "00000",
        "00009",
    ]
    assert "54 more trials: orchestrator table runs/many" in out
    assert "Winner: trial 00000" in out
    assert err == ""


def test_a_machine_format_keeps_the_winner_off_stdout(a_run, capsys):
    a_run("many", trials=64)
    out, err = outcome("many", Destination("csv", None), capsys)
    assert len(list(csv.DictReader(io.StringIO(out)))) == 64
    assert "Winner: trial 00000" in err


def test_a_file_gets_every_row_and_stdout_the_winner(a_run, capsys):
    a_run("many", trials=64)
    out, _ = outcome("many", destination(None, Path("t.csv")), capsys)
    assert len(Path("t.csv").read_text().splitlines()) == 65
    assert "Winner: trial 00000" in out and "more trials" not in out


def test_an_interrupted_run_says_what_was_kept(a_run, capsys):
    a_run("cut", status="run_interrupted")
    out, err = outcome("cut", ON_SCREEN, capsys)
    assert "Best so far: trial 00000" in out
    assert err == "interrupted; kept in runs/cut: 4 epochs of 3 trials, 0 of them cut short\n"


def test_a_run_interrupted_before_its_first_trial_shows_no_table(a_run, capsys):
    a_run("cut", trials=0, status="run_interrupted")
    out, err = outcome("cut", ON_SCREEN, capsys)
    assert "─" not in out
    assert err.startswith("interrupted before the first trial")


@pytest.mark.parametrize(
    ("run", "code"),
    [
        ({"trials": 3}, None),
        ({"trials": 1}, 1),
        ({"trials": 3, "status": "run_interrupted"}, 130),
    ],
)
def test_the_exit_code_tells_how_a_run_ended(a_run, monkeypatch, run, code):
    a_run("done", **run)
    monkeypatch.setattr("orchestrator.experiment.run", lambda *_, **__: open_run("done"))
    if code is None:
        commands.run(Path("e.yaml"))
        return
    with pytest.raises(typer.Exit) as ended:
        commands.run(Path("e.yaml"))
    assert ended.value.exit_code == code


def test_a_changed_file_is_noted_when_its_finished_run_is_returned(cli, a_run):
    a_run("done", trials=2)
    RunFolder(Path("runs/done")).write_manifest({})
    file = "model: mlp\ndata: digits\nepochs: {}\ncaviar: {{num_samples: 2}}\nsearch_space:\n"
    file += "  learning_rate: loguniform(1e-4, 1)\n  units: integer(16, 64)\n"
    Path("done.yaml").write_text(file.format(2))
    assert "differs" not in cli("run", "done.yaml", "--or-resume").stderr
    Path("done.yaml").write_text(file.format(9))
    result = cli("run", "done.yaml", "--or-resume", "--format", "csv")
    assert result.exit_code == 0
    noted = "done.yaml differs from the run's record in: epochs. The record applies"
    assert noted in result.stderr and "orchestrator extend" in result.stderr
    assert "differs" not in result.stdout


@pytest.mark.integration
def test_a_run_whose_every_trial_fails_exits_1_and_names_the_error(process):
    Path("net.py").write_text(FAILS)
    Path("tiny.yaml").write_text(EXPERIMENT.replace("mlp", "./net.py"))
    result = process("run", "tiny.yaml", "--inline")
    assert result.returncode == 1, result.stderr
    said = "no trial succeeded; each of the 2 failed with ValueError: 16"
    assert said in " ".join(result.stderr.split())


PRINTS = """\
import ctypes
import keras
import subprocess

print("module of the model")


def build(hp, input_shape, num_classes):
    name = "un" + "its"
    inputs = keras.Input(input_shape)
    x = keras.layers.Dense(hp[name])(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(num_classes, activation="softmax")(x))
    model.summary()
    ctypes.CDLL(None).puts(b"C of the builder")
    return model


def load():
    from sklearn.datasets import load_wine

    print("loading")
    ctypes.CDLL(None).puts(b"C of the loader")
    subprocess.run(["echo", "child of the loader"], check=True)
    return load_wine(return_X_y=True)
"""


@pytest.mark.integration
def test_two_trials_run_from_file_to_table_model_and_export_whatever_loader_and_builder_print(
    process,
):
    """One run shows both: stdout holds the table alone."""
    Path("net.py").write_text(PRINTS)
    text = EXPERIMENT.replace("mlp", "./net.py").replace("digits", "./net.py:load")
    Path("tiny.yaml").write_text(text)
    result = process("run", "tiny.yaml", "--format", "json")
    assert result.returncode == 0, result.stderr
    assert [row["units"] for row in json.loads(result.stdout)] == [16, 16]
    assert "Winner: trial" in result.stderr
    for printed in (
        "module of",
        "loading",
        "C of the loader",
        "child of",
        "Total params",
        "C of the builder",
    ):
        assert printed in result.stderr
    log = Path("runs/tiny/logs/00000.printed.txt").read_text()
    assert "Total params" in log and "C of the builder" in log
    for command in (("show", "tiny"), ("table", "tiny"), ("export", "tiny", "--to", "m.keras")):
        assert process(*command).returncode == 0
    assert Path("m.keras").stat().st_size > 10_000
