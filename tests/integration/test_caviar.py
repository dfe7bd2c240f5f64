"""Whole experiments on real workers, from the file to the table."""

from __future__ import annotations

import csv
import json
import sys

import pytest
import yaml

import orchestrator


def curves(run):
    wanted = ("trial", "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
    return run.epochs().sort_values(["trial", "epoch"])[list(wanted)].reset_index(drop=True)


def configurations(run):
    return {trial.trial: (trial.seed, trial.hyperparameters) for trial in run.records.trials}


@pytest.fixture(scope="module")
def digits(cluster, tmp_path_factory):
    """One run that several tests look at."""
    experiment = {
        "name": "digits", "model": "mlp", "data": "digits", "epochs": 3, "seed": 4,
        "search_space": {
            "learning_rate": "loguniform(0.01, 0.3)",
            "momentum": "one_minus_loguniform(0.9, 0.99)",
            "units": "choice([8, 16])",
        },
        "caviar": {"num_samples": 6, "scheduler": {"asha": {"promote": False}}},
        "storage_path": str(tmp_path_factory.mktemp("runs")),
    }  # fmt: skip
    return orchestrator.run(experiment, progress=False)


def test_every_trial_has_its_start_its_epochs_and_its_end(digits):
    records = digits.records
    assert digits.status == "finished"
    assert sorted(trial.trial for trial in records.trials) == [f"0000{index}" for index in range(6)]
    for trial in records.trials:
        epochs = [row["epoch"] for row in records.of(trial.trial).epochs]
        assert epochs == list(range(1, len(epochs) + 1))
        assert len(epochs) == {"finished": 3, "stopped": 1}[trial.status]
        assert (trial.path, trial.path_reason) == ("compiled", None)
        assert trial.parameters > 0
    assert any(trial.status == "finished" for trial in records.trials)
    assert [event["event"] for event in records.events] == ["run_started", "winner", "run_finished"]


def test_the_rungs_rebuilt_from_the_records_decide_what_the_run_decided(digits):
    from orchestrator.config import AshaOptions
    from orchestrator.schedulers import make_scheduler

    asha = make_scheduler(AshaOptions(promote=False), 3, "max")
    stopped = {}
    for row in digits.records.epochs:
        decision = asha.report(row["trial"], row["epoch"], row["metrics"]["val_accuracy"])
        if decision.stop:
            stopped[row["trial"]] = (row["epoch"], decision.cutoff)
    recorded = {
        trial.trial: (trial.stopped_by["epoch"], trial.stopped_by["cutoff"])
        for trial in digits.records.trials
        if trial.stopped_by
    }
    assert recorded == stopped


def test_the_table_is_best_first_and_its_first_row_is_the_winner(digits):
    table = digits.table()
    assert len(table) == 6
    best = table["best_val_accuracy"].tolist()
    assert best == sorted(best, reverse=True)
    assert digits.best.trial == table.iloc[0]["trial"]
    assert digits.best.value == best[0]


def test_the_winner_has_a_test_score_and_a_model_that_gives_it_on_unscaled_rows(digits):
    from orchestrator.catalog import find_data
    from orchestrator.config import DataOptions
    from orchestrator.data import load_dataset

    unscaled = DataOptions(source="digits", scale="none")
    data = load_dataset(find_data("digits", "."), unscaled, 4)
    y_hat = digits.load_model().predict(data.test.x, verbose=0).argmax(axis=1)
    assert digits.best.test["accuracy"] == pytest.approx((y_hat == data.test.y).mean())
    assert digits.best.test["accuracy"] > 0.6


def test_the_folder_holds_what_it_is_said_to(digits):
    names = {file.name for file in digits.path.iterdir()}
    assert {"experiment.yaml", "manifest.json", "trials.jsonl", "epochs.jsonl", "events.jsonl",
            "trials.csv", "epochs.csv", "best", "logs", "checkpoints"} <= names  # fmt: skip
    best = sorted(file.name for file in (digits.path / "best").iterdir())
    files = ["details.json", "examples.json", "hyperparameters.yaml", "metrics.json", "model.keras"]
    assert best == files
    kept = [file.name for file in (digits.path / "checkpoints").iterdir()]
    assert kept == [f"{digits.best.trial}.npz"]
    chosen = yaml.safe_load((digits.path / "best/hyperparameters.yaml").read_text())
    assert chosen == digits.best.hyperparameters
    with (digits.path / "trials.csv").open() as file:
        assert [row["trial"] for row in csv.DictReader(file)] == digits.table()["trial"].tolist()
    metrics = json.loads((digits.path / "best/metrics.json").read_text())
    assert metrics["test"] == digits.best.test


def test_a_reopened_run_is_the_same(digits):
    again = orchestrator.open_run(digits.path)
    assert again.best == digits.best
    assert again.table().equals(digits.table())


@pytest.mark.cluster
def test_the_same_experiment_and_seed_give_the_same_configurations_and_curves(tune):
    first = tune(4, name="first", caviar={"scheduler": "none"})
    again = tune(4, name="again", executor="inline", caviar={"scheduler": "none"})
    assert configurations(again) == configurations(first)
    assert {trial.status for trial in first.records.trials} == {"finished"}
    assert curves(again).equals(curves(first))
    assert again.best == first.best


@pytest.mark.cluster
def test_a_project_with_models_and_search_spaces_of_its_own(cluster, tmp_path, monkeypatch):
    project = tmp_path / "project"
    for folder in ("models", "search_spaces", "orchestrator_settings"):
        (project / folder).mkdir(parents=True)
        (project / folder / "__init__.py").write_text("raise RuntimeError('not meant')\n")
    (project / "layers_of_mine.py").write_text("WIDTH = 7\n")
    (project / "net.py").write_text(
        "import keras\nfrom layers_of_mine import WIDTH\n"
        "class Own(keras.Model):\n"
        "    def fit(self, *arguments, **options):\n"
        "        return super().fit(*arguments, **options)\n"
        "def build(hp, input_shape, num_classes):\n"
        "    import layers_of_mine\n"
        "    x = keras.Input(input_shape)\n"
        "    z = keras.layers.Dense(layers_of_mine.WIDTH)(keras.layers.Flatten()(x))\n"
        "    return Own(x, keras.layers.Dense(num_classes, activation='softmax')(z))\n"
    )
    common = {"data": "digits", "epochs": 1, "caviar": {"num_samples": 1}}
    space = {"learning_rate": "loguniform(0.01, 0.1)"}
    (project / "own.yaml").write_text(
        yaml.safe_dump({"model": "./net.py", "search_space": space} | common)
    )
    (project / "bundled.yaml").write_text(
        yaml.safe_dump({"model": "mlp", "search_space": "mlp"} | common)
    )
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(str(project))
    for name, path in (
        ("own", ("fit", "the model overrides fit()")),
        ("bundled", ("compiled", None)),
    ):
        run = orchestrator.run(f"{name}.yaml", progress=False)
        [trial] = run.records.trials
        assert (trial.status, trial.error) == ("finished", None)
        assert (trial.path, trial.path_reason) == path
        if name == "own":
            assert trial.parameters == 64 * 7 + 7 + 7 * 10 + 10
        assert run.best.test is not None
        assert run.path.resolve() == project / "runs" / name
    assert not {"models", "search_spaces"} & set(sys.modules)


@pytest.mark.cluster
def test_the_median_rule_stops_trials_below_its_cutoff(tune):
    space = {"learning_rate": "loguniform(1e-6, 0.1)", "units": 8}
    median = {"scheduler": {"median": {"min_trials": 1}}}
    run = tune(8, caviar=median, search_space=space, executor="inline")
    stopped = [trial.stopped_by for trial in run.records.trials if trial.stopped_by]
    assert stopped
    for by in stopped:
        assert by["scheduler"] == "median"
        assert by["value"] < by["cutoff"]
    assert run.best.test is not None
