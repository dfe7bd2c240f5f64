"""Lanes: each trial of many that one JAX program trains is what it is alone. Run by ``test_backends``, on JAX."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

from orchestrator.search import TrialSpec
from orchestrator.training import lane_trials
from orchestrator.training.lane_program import LaneProgram
from orchestrator.training.lane_trials import Tried
from orchestrator.training.task import TrainingTask
from orchestrator.training.trainer import Trainer
from orchestrator.training.workbench import KerasJob
from orchestrator.trials.judging import Objective
from orchestrator.trials.panda.day_cycle import train_epoch
from orchestrator.tuning.trial_runner import TrialRunner
from tests.training.conftest import MLP

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="lanes are JAX's")
ALIKE = 1e-4


def specs_of(count, **fixed):
    rng = np.random.default_rng(0)
    return [
        TrialSpec(f"{at:05d}", at, 100 + at, {
            "learning_rate": float(10 ** rng.uniform(-2.5, -0.5)),
            "momentum": float(rng.uniform(0.5, 0.95)),
            "learning_rate_decay": 0.05,
            "units": 4,
            "batch_size": 32,
            **{name: value[at % len(value)] for name, value in fixed.items()},
        })
        for at in range(count)
    ]  # fmt: skip


def alone(task, specs, train):
    trainer = Trainer(task)
    return {s.trial: train(trainer, dict(s.hyperparameters), s.seed, task.epochs) for s in specs}


class Worker:
    """A worker with lanes, driven as an executor does."""

    def __init__(self, task, folder, lanes, milestones=(), metric="val_accuracy", **job):
        mode = "min" if metric == "val_mae" else "max"
        objective = Objective(metric, mode, frozenset(milestones), folder / "checkpoints")
        self.job = KerasJob(task, objective, 1, lanes=lanes, **job)
        self.runner = TrialRunner(self.job, lanes if isinstance(lanes, int) else 1)
        self.rows = {}

    def train(self, specs, until=None):
        """Train all of them, refilling lanes; a trial leaves after ``until`` epochs where that has it leave."""
        specs, ended = list(specs), {}
        while specs or self.runner.trials:
            while specs and len(self.runner.trials) < self.runner.places:
                self.runner.take(specs.pop(0))
            for report in self.rows_of_a_step():
                rows = self.rows[report.trial]
                ends = report.failure or report.progress.done or report.progress.diverged
                if ends or max(rows, default=0) >= (until or {}).get(report.trial, 1000):
                    ended[report.trial] = report
                    self.runner.keep(report.trial)
                    self.runner.drop(report.trial)
        return ended

    def rows_of_a_step(self):
        """Train until there are reports; take their rows in."""
        reports = self.runner.step()
        for report in reports:
            rows = self.rows.setdefault(report.trial, {})
            rows |= {row["epoch"]: row["metrics"] for row in report.progress.rows}
        return reports

    @property
    def banks(self):
        return [*self.runner._workbench._lanes.banks.values()]

    def curve(self, trial):
        return [self.rows[trial][epoch] for epoch in sorted(self.rows[trial])]


def check_alike(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=ALIKE, rel=ALIKE, nan_ok=True)
        assert one.keys() == other.keys()


def test_27_epochs_of_each_lane_are_those_of_the_trial_alone_refilled_ones_too(
    mlp, train, tmp_path
):
    task = replace(mlp, epochs=27, metrics=("macro_f1",))
    specs = specs_of(
        3, dropout=[0.1, 0.3, 0.5], weight_decay=[0.001, 0.01], label_smoothing=[0.1, 0.2]
    )
    worker = Worker(task, tmp_path, 2)
    ended = worker.train(specs)
    assert {report.about["path"] for report in ended.values()} == {"compiled"}
    assert [bank.traced for bank in worker.banks] == [1]
    for trial, curve in alone(task, specs, train).items():
        check_alike(worker.curve(trial), curve)


def test_a_trial_killed_in_its_lane_goes_on_in_another_with_the_same_curve(mlp, train, tmp_path):
    specs = specs_of(3)
    first = Worker(mlp, tmp_path, 3, milestones=(1,))
    first.train(specs, until={"00000": 1, "00001": 2, "00002": 1})
    second = Worker(mlp, tmp_path, 2, milestones=(1,))
    second.train(specs)
    for trial, curve in alone(mlp, specs, train).items():
        check_alike(worker_curve(first, second, trial), curve)


def worker_curve(first, second, trial):
    rows = first.rows[trial] | second.rows[trial]
    return [rows[epoch] for epoch in sorted(rows)]


def test_a_diverging_lane_leaves_the_others_as_they_are(mlp, train, tmp_path):
    specs = specs_of(3, learning_rate=[0.05, 1e30, 0.02])
    worker = Worker(mlp, tmp_path, 3)
    ended = worker.train(specs)
    assert [report.progress.diverged for _, report in sorted(ended.items())] == [False, True, False]
    curves = alone(mlp, [specs[0], specs[2]], train)
    for trial, curve in curves.items():
        check_alike(worker.curve(trial), curve)


def test_a_trial_that_fails_is_one_failure_among_lanes(net, train, tmp_path):
    task = net("""
        def build(hp, input_shape, num_classes):
            if hp["units"] == 5:
                raise ValueError("no five units")
            x = inputs = keras.Input(input_shape)
            for _ in range(2):
                x = layers.Dropout(hp["drop"])(layers.Dense(hp["units"], "relu")(x))
            return keras.Model(inputs, layers.Dense(num_classes, "softmax")(x))
    """)
    specs = specs_of(4, units=[4, 5, 4, 4], drop=[0.1, 0.2, 0.3, 0.4])
    worker = Worker(task, tmp_path, 4)
    ended = worker.train(specs)
    assert [bool(report.failure) for _, report in sorted(ended.items())] == [
        False,
        True,
        False,
        False,
    ]
    assert [bank.traced for bank in worker.banks] == [1]
    for trial, curve in alone(task, [specs[0], *specs[2:]], train).items():
        check_alike(worker.curve(trial), curve)


def test_what_cannot_be_traced_for_several_trains_by_itself_and_says_why(
    net, train, tmp_path, monkeypatch
):
    task = net("""
        def build(hp, input_shape, num_classes):
            inputs = keras.Input(input_shape)
            x = layers.Dense(hp["units"], "relu")(inputs)
            return keras.Model(inputs, layers.Dense(num_classes, "softmax")(x))
    """)

    def refuses(self, *given):
        raise TypeError("no vmap")

    monkeypatch.setattr(LaneProgram, "_epoch", refuses)
    specs = specs_of(3)
    worker = Worker(task, tmp_path, 2)
    ended = worker.train(specs)
    for trial, curve in alone(task, specs, train).items():
        check_alike(worker.curve(trial), curve)
    assert {report.about["path"] for report in ended.values()} == {"fit"}
    assert {report.about["path_reason"] for report in ended.values()} == {
        "its step cannot be traced for several: no vmap"
    }


def test_a_copy_in_a_population_is_changed_before_its_lane_trains(data, tmp_path):
    task = TrainingTask(MLP, data, epochs=6)
    first = specs_of(3)
    copies = [
        replace(
            spec,
            hyperparameters={**spec.hyperparameters, "learning_rate": 0.3},
            recipe=(
                (0, spec.hyperparameters),
                (2, {**spec.hyperparameters, "learning_rate": 0.3}),
            ),
        )
        for spec in first
    ]
    folders = {lanes: tmp_path / str(lanes) for lanes in (3, None)}
    for folder in folders.values():
        folder.mkdir()
    lanes, alone_too = (Worker(task, folder, lanes) for lanes, folder in folders.items())
    lanes.train(copies)
    alone_too.train(copies)
    for spec in copies:
        check_alike(lanes.curve(spec.trial), alone_too.curve(spec.trial))
        rates = [row["learning_rate"] for row in lanes.curve(spec.trial)]
        assert rates[2] > 0.25 and rates[1] == pytest.approx(
            spec.recipe[0][1]["learning_rate"] / 1.05, rel=1e-3
        )


def test_one_lane_is_a_trial_after_another_in_a_program_of_its_own(mlp, train, tmp_path):
    specs = specs_of(3)
    worker = Worker(mlp, tmp_path, 1)
    ended = worker.train(specs)
    assert {report.about["path"] for report in ended.values()} == {"compiled"}
    assert [bank.traced for bank in worker.banks] == [1]
    for trial, curve in alone(mlp, specs, train).items():
        check_alike(worker.curve(trial), curve)


def test_lanes_are_tried_before_any_trial_trains_and_what_was_compiled_is_kept(
    mlp, train, tmp_path, monkeypatch
):
    monkeypatch.setattr(lane_trials, "TRYING_SECONDS", float("inf"))
    specs = specs_of(3)
    worker = Worker(mlp, tmp_path, "auto")
    found = worker.runner.try_lanes(specs[0], 3)
    assert [each["lanes"] for each in found["measured"]][:3] == [0, 1, 2]
    assert found["lanes"] in (None, 1, 2, 3)
    worker.runner.have_lanes(2)
    worker.train(specs)
    [bank] = worker.banks
    assert bank.traced == len(found["measured"]) - 1, "nothing was traced again"
    for trial, curve in alone(mlp, specs, train).items():
        check_alike(worker.curve(trial), curve)


def test_fewer_lanes_are_trained_once_fewer_trials_are_left(mlp, train, tmp_path):
    task = replace(mlp, epochs=4)
    specs = specs_of(4)
    worker = Worker(task, tmp_path, 4, milestones=(1, 2, 3))
    for spec in specs[:2]:
        worker.runner.take(spec)
    worker.rows_of_a_step(), worker.rows_of_a_step()  # in two lanes
    worker.train(specs[2:], until={specs[0].trial: 3, specs[2].trial: 2})
    [bank] = worker.banks
    assert bank.traced == 2 and len(bank._seats) == 2, "of two lanes, of four, and of two again"
    for trial, curve in alone(task, specs, train).items():
        found = worker.curve(trial)
        check_alike(found, curve[: len(found)])


def test_a_reproducible_run_has_the_same_to_the_bit_whoever_trains_beside(mlp, tmp_path):
    specs = specs_of(3)
    (tmp_path / "few").mkdir()
    many = Worker(mlp, tmp_path, 3, all_lanes=True)
    few = Worker(mlp, tmp_path / "few", 3, all_lanes=True)
    many.train(specs)
    few.train(specs[:1])
    assert few.curve(specs[0].trial) == many.curve(specs[0].trial)


def tries(*rates, alone=0.1):
    beside = [Tried(1 << at, (1 << at) / rate, 0.0, 1, 1) for at, rate in enumerate(rates)]
    return [Tried(0, 1 / alone, 0.0, 0, 0), *beside]


@pytest.mark.parametrize(
    ("rates", "lanes"), [((10, 19, 37, 38), 4), ((10, 9, 8), 1), ((10, 10.2, 10.4), 1), ((1, 2), 2)]
)
def test_the_fewest_lanes_are_chosen_that_train_about_the_most_trials(rates, lanes):
    assert lane_trials._chosen(tries(*rates), "")["lanes"] == lanes


def test_no_lanes_are_chosen_where_trials_one_after_another_are_as_good():
    assert lane_trials._chosen(tries(4, 5, 5, alone=12), "")["lanes"] is None


def test_lanes_that_would_not_fit_in_memory_are_not_tried(mlp, tmp_path, monkeypatch):
    monkeypatch.setattr(lane_trials, "_free", lambda: (None, 30 * 2**20))
    monkeypatch.setattr(lane_trials, "HOST_BYTES", 10 * 2**20)
    monkeypatch.setattr(lane_trials, "TRYING_SECONDS", float("inf"))
    found = Worker(mlp, tmp_path, "auto").runner.try_lanes(specs_of(1)[0], 64)
    assert [each["lanes"] for each in found["measured"]] == [0, 1, 2]
    assert "more do not fit in memory" in found["reason"]


def test_a_model_that_cannot_be_a_lane_has_none_and_the_reason(mlp, tmp_path):
    spec = specs_of(1, recalibrate_batch_norm=["every_validation"])[0]
    found = Worker(mlp, tmp_path, "auto").runner.try_lanes(spec, 4)
    assert found["lanes"] is None
    assert "BatchNormalization is recalibrated at every validation" in found["reason"]


def test_a_lane_trains_its_next_trial_in_batches_of_that_ones_size(mlp, train, tmp_path):
    specs = specs_of(5, batch_size=[32, 64, 16, 32, 64])
    worker = Worker(mlp, tmp_path, 2)
    worker.train(specs)
    for trial, curve in alone(mlp, specs, train).items():
        check_alike(worker.curve(trial), curve)


def test_a_lane_whose_next_trial_is_recalibrated_at_each_validation_has_its_numbers(
    mlp, train, tmp_path
):
    specs = specs_of(3, recalibrate_batch_norm=["off", "every_validation", "off"])
    worker = Worker(mlp, tmp_path, 1)
    worker.train(specs)
    for trial, curve in alone(mlp, specs, train).items():
        check_alike(worker.curve(trial), curve)


def test_a_model_that_is_rebuilt_in_its_lane_goes_on_from_what_it_has_learned(mlp, tmp_path):
    lane, by_itself = Worker(mlp, tmp_path, 2).job.open()._lane(), Trainer(mlp)
    curves = []
    for trainer in (lane, by_itself):
        trainer.begin({"learning_rate": 0.1, "units": 4, "batch_size": 32, "dropout": 0.1}, 1)
        curve = [train_epoch(trainer), train_epoch(trainer)]
        assert trainer.change({"dropout": 0.4}) == "rebuilt"
        curves.append([*curve, train_epoch(trainer)])
    check_alike(*curves)
