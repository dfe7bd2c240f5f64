"""A panda, its branches and the rates that its sitter tries as lanes: each is what it is alone.

Run by ``test_backends``, on JAX; with two more kinds of models by ``KERAS_BACKEND=jax pytest -m slow`` of this file.
"""

from __future__ import annotations

from dataclasses import replace

import keras
import pytest

from orchestrator.config import parse_experiment
from orchestrator.domains import Space
from orchestrator.records import Request, RunFolder, write_request
from orchestrator.search import TrialSpec, make_plan
from tests.training.lane_models import LANES
from tests.training.test_lanes import Worker, check_alike

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="lanes are JAX's")
START = {"learning_rate": 0.05, "momentum": 0.9, "units": 8, "batch_size": 32}
TRIES = {
    "mode": "act",
    "patience": 2,
    "plateau": {"standard_errors": 50},
    "branch_and_compare": {"epochs": 2, "factors": [1, 0.1, 1000], "budget_share": 0.6},
}
PANDA = "00000"


class Babysitter(Worker):
    """A worker with a panda and its branches, driven as an executor does."""

    def __init__(self, task, folder, lanes, all_lanes=True, **panda):
        folder.mkdir(exist_ok=True)
        keys = {"day": "1 epoch", "days": 6, "sitter": "off", "start": START} | panda
        experiment = parse_experiment(
            {"name": "p", "model": "mlp", "data": "digits", "strategy": "panda", "panda": keys}
        )
        plan = make_plan(experiment, Space({}))
        super().__init__(task, folder, lanes, nursery=plan.nursery, all_lanes=all_lanes)
        self.folder, self.first, self.journal = RunFolder(folder), plan.points[0], []
        self.waiting = []

    def ask(self, action, day, trial=PANDA, /, **arguments):
        asked = Request(action, trial, arguments, who="ada", at_day=day)
        write_request(self.folder, asked)

    def live(self, specs=None, until=lambda: False):
        """Train all, branches too, or until something is so; return how each ended, by its report."""
        self.waiting, ended = list(specs or [self.first]), {}
        while (self.waiting or self.runner.trials) and not until():
            while self.waiting and len(self.runner.trials) < self.runner.places:
                self.runner.take(self.waiting.pop(0))
            for report in self.rows_of_a_step():
                assert report.failure is None, report.failure.whole
                self._hear(report.progress)
                if report.progress.done or report.progress.diverged:
                    ended[report.trial] = report
                    self.runner.drop(report.trial)
        return ended

    def is_paused(self, *trials):
        """Whether the last that was done to each of them is to pause it."""
        last = [[*self.entries(trial, "applied"), {"action": None}][-2:][0] for trial in trials]
        return all(entry["action"] == "pause" for entry in last)

    def _hear(self, progress):
        self.journal += progress.journal
        for branch in progress.branches:
            self.waiting.append(TrialSpec(index=1 + len(self.waiting), branch=True, **branch))

    def entries(self, trial, *kinds):
        """What the journal says of a trial, but for what is measured."""
        names = ("kind", "id", "day", "epoch", "stretch", "action", "by", "changes", "done", "rule")
        own = [e for e in self.journal if e["trial"] == trial and e["kind"] in kinds]
        return [{name: entry.get(name) for name in names} for entry in own]


def compare(lanes, alone, trial=PANDA):
    check_alike(lanes.curve(trial), alone.curve(trial))
    kinds = ("asked", "applied", "refused", "day", "advice", "verdict")
    assert lanes.entries(trial, *kinds) == alone.entries(trial, *kinds)


@pytest.mark.parametrize(
    "kind",
    ["mlp", *(pytest.param(n, marks=pytest.mark.slow) for n in ("BatchNormalization", "Dropout"))],
)
def test_rates_that_are_tried_are_lanes_and_each_is_what_it_is_alone(kind, mlp, net, tmp_path):
    task = mlp if kind == "mlp" else net(LANES[kind])
    task = replace(task, epochs=12)
    start = {**START, "learning_rate": 1e-5, "drop": 0.3, "dropout": 0.2}
    start.pop("dropout" if kind != "mlp" else "drop")
    options = {"start": start, "sitter": TRIES, "days": 12, "all_lanes": False}
    alone, lanes = (Babysitter(task, tmp_path / str(n), n, **options) for n in (None, 3))
    alone.live()
    ended = lanes.live()
    assert ended[PANDA].about["path"] == "compiled"
    compare(lanes, alone)
    mine, theirs = (
        [e["evidence"] for e in each.journal if e.get("action") == "branch_and_compare"]
        for each in (lanes, alone)
    )
    assert len(mine) == 1
    for one, other in zip(mine, theirs, strict=True):
        assert one["rows"] == other["rows"] and one["diverged"] == other["diverged"]
        for factor, seen in other["branches"].items():
            assert one["branches"][factor] == pytest.approx(seen, abs=1e-4, rel=1e-3)
    [bank] = lanes.banks
    assert sorted(bank._compiled) == [1, 3], "three rates in one call"


def test_a_panda_and_its_branches_are_lanes_changed_rebuilt_and_taken_back(mlp, tmp_path):
    task = replace(mlp, epochs=6)
    options = {"start": {**START, "dropout": 0.2}}
    alone, lanes = (Babysitter(task, tmp_path / str(n), n, **options) for n in (None, 3))
    for each in (alone, lanes):
        each.ask("branch", 3, name="bold", changes={"learning_rate": 0.3, "momentum": 0.5})
        each.ask("branch", 4, name="dry", at_day=1, changes={"dropout": 0.4})
        each.ask("rollback", 5, to_day=2)
        each.ask("rollback", 5, "bold", to_day=1)
        each.ask("set", 5, "dry", changes={"batch_size": 64})
        each.ask("set", 6, "dry", changes={"dropout": 0.1})
        each.ask("set", 6, changes={"units": 9})
    alone.live()
    ended = lanes.live()
    assert {report.about["path"] for report in ended.values()} == {"compiled"}
    for trial in (PANDA, "bold", "dry"):
        compare(lanes, alone, trial)
    assert [e["kind"] for e in lanes.entries(PANDA, "refused")] == ["refused"]
    changes = [entry["changes"] for entry in lanes.entries("dry", "applied")]
    assert changes == [{"batch_size": [32, 64]}, {"dropout": [0.4, 0.1]}]
    sizes = [size for _, size in lanes.runner._workbench._lanes.banks]
    assert sorted(sizes) == [32, 64], "the rate of Dropout takes no other program"


def test_a_killed_panda_and_its_branch_go_on_in_their_lanes(mlp, tmp_path):
    task = replace(mlp, epochs=6)
    whole, cut = (Babysitter(task, tmp_path / name, 2) for name in ("whole", "cut"))
    for each in (whole, cut):
        each.ask("branch", 2, name="bold", changes={"learning_rate": 0.3})
        each.ask("pause", 4), each.ask("pause", 5, "bold")
    cut.live(until=lambda: cut.is_paused(PANDA, "bold"))
    assert [max(cut.rows[trial]) for trial in (PANDA, "bold")] == [3, 4]
    after = Babysitter(task, tmp_path / "cut", 2)
    after.ask("continue", None), after.ask("continue", None, "bold")
    whole.ask("continue", 4), whole.ask("continue", 5, "bold")
    branch = replace(after.first, trial="bold", index=1, branch=True)
    after.live([after.first, branch])
    whole.live()
    for trial in (PANDA, "bold"):
        check_alike(
            [(cut.rows[trial] | after.rows[trial])[epoch] for epoch in sorted(after.rows[trial])],
            whole.curve(trial)[-len(after.rows[trial]) :],
        )
        assert max(after.rows[trial]) == 6


def test_a_paused_panda_does_not_hold_its_branch(mlp, tmp_path):
    task = replace(mlp, epochs=6)
    worker = Babysitter(task, tmp_path / "p", 2)
    worker.ask("branch", 2, name="bold", changes={"learning_rate": 0.3})
    worker.ask("pause", 3)
    ended = worker.live(until=lambda: max(worker.rows.get("bold", [0])) == 6)
    assert [*ended] == ["bold"] and len(worker.curve("bold")) == 5
    assert len(worker.curve(PANDA)) == 2


def test_a_model_that_is_no_lane_tries_its_rates_as_ever_and_says_why(net, tmp_path):
    task = net(
        """
        class Own(keras.Model):
            def train_step(self, state, data):
                return super().train_step(state, data)

        def build(hp, input_shape, num_classes):
            i = keras.Input(input_shape)
            x = layers.Dense(hp["units"], "tanh")(i)
            return Own(i, layers.Dense(num_classes, "softmax")(x))
        """,
        epochs=12,
    )
    options = {"start": {**START, "learning_rate": 1e-5}, "sitter": TRIES, "days": 12}
    alone, lanes = (Babysitter(task, tmp_path / str(n), n, **options) for n in (None, 3))
    alone.live()
    ended = lanes.live()
    assert ended[PANDA].about["path"] == "fit"
    assert ended[PANDA].about["path_reason"] == "the model overrides train_step()"
    assert lanes.curve(PANDA) == alone.curve(PANDA)
