"""A population as a search: copies come before their donors go on, and are the same however many workers there are."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random

import pytest

from orchestrator.config import parse_experiment
from orchestrator.domains import Space
from orchestrator.errors import ExperimentFileError
from orchestrator.records import TrialEnd
from orchestrator.schedulers import PbtOptions
from orchestrator.search import Search, make_plan
from orchestrator.search.population import changing
from orchestrator.search.steps import Done, Resume, Start

SPACE = {
    "learning_rate": "loguniform(1e-3, 1)",
    "momentum": "one_minus_loguniform(0.5, 0.99)",
    "units": "choice([8, 16])",
}
LIVE = frozenset({"learning_rate", "momentum", "batch_size"})


def plan_of(space=SPACE, constraints=(), **pbt):
    experiment = parse_experiment(
        {
            "name": "one", "model": "mlp", "data": "digits", "metric": "val_accuracy", "mode": "max", "epochs": 12,
            "search_space": space, "constraints": list(constraints),
            "caviar": {"num_samples": 8, "scheduler": {"pbt": {"interval": 3} | pbt}, "finalists": False},
        }
    )  # fmt: skip
    drawn = Space.parse(experiment.search_space, constraints=constraints)
    plan = make_plan(experiment, drawn)
    return replace(plan, changing=changing(plan.scheduler, drawn, LIVE))


def value(spec, epoch):
    return -abs(math.log10(spec.hyperparameters["learning_rate"]) + 1) - 1 / epoch


class Played:
    """A search whose trials are trained by so many workers, some faster than others; what was begun, and the rows."""

    def __init__(self, workers=1, seed=0, plan=None, rows=(), specs=()):
        self.search, self.rng = Search(plan or plan_of()), Random(seed)
        self.steps, self.rows, self.specs, self.epoch = [], list(rows), {}, {}
        self.workers = workers
        for spec in specs:
            self.search.recall(spec)
        for row in rows:
            self.search.tell(row)

    def play(self, most=1000):
        training = []
        while len(self.rows) < most:
            while len(training) < self.workers:
                step = self.search.next()
                if not isinstance(step, Start | Resume):
                    break
                self.steps.append(step)
                self.specs[step.spec.trial] = step.spec
                training.append(step.spec)
            if not training:
                assert isinstance(step, Done)
                return self
            spec = training.pop(self.rng.randrange(len(training)))
            fork = spec.origin["epoch"] if spec.origin else 0
            epoch = self.epoch[spec.trial] = self.epoch.get(spec.trial, fork) + 1
            metrics = {"val_accuracy": value(spec, epoch)}
            row = {"trial": spec.trial, "epoch": epoch, "metrics": metrics, "seconds": 0.1}
            self.rows.append(row)
            pauses = self.search.tell(row).pause
            if epoch == 12:
                self.search.tell(TrialEnd(spec.trial, "finished", 1.0))
            elif not pauses:
                training.append(spec)
            for trial in list(self.search.dropped):
                self.search.tell(TrialEnd(trial, "stopped", 1.0))
        return self


@pytest.fixture(scope="module")
def alone():
    return Played().play()


def test_the_population_keeps_its_size_and_all_of_it_trains_to_the_end(alone):
    assert len(alone.specs) == 8 + 3 * 2
    assert sum(epoch == 12 for epoch in alone.epoch.values()) == 8


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_on_any_number_of_workers_the_same_copies_train(alone, workers):
    for seed in range(5):
        assert Played(workers, seed).play().specs == alone.specs


def test_a_copy_begins_before_the_one_whose_state_it_takes_goes_on(alone):
    for number, step in enumerate(alone.steps):
        if isinstance(step, Start) and step.spec.origin:
            at, donor = step.spec.origin["epoch"], step.spec.origin["trial"]
            before = [s.spec.trial for s in alone.steps[:number]]
            since = (at - (alone.specs[donor].origin or {"epoch": 0})["epoch"]) // 3
            assert before.count(donor) == since, (
                "the donor has begun, and gone on, as often as it was compared"
            )


def test_a_copy_differs_by_the_factor_on_each_scale_and_has_all_else_of_its_donor(alone):
    for spec in alone.specs.values():
        if not spec.origin:
            continue
        donor = alone.specs[spec.origin["trial"]]
        rate = spec.hyperparameters["learning_rate"] / donor.hyperparameters["learning_rate"]
        rest = (1 - spec.hyperparameters["momentum"]) / (1 - donor.hyperparameters["momentum"])
        for moved, now, ends in ((rate, spec.hyperparameters["learning_rate"], (1e-3, 1)),
                                 (rest, spec.hyperparameters["momentum"], (0.5, 0.99))):  # fmt: skip
            at_end = any(now == pytest.approx(end) for end in ends)
            assert at_end or moved == pytest.approx(1.2) or moved == pytest.approx(1 / 1.2)
        assert spec.hyperparameters["units"] == donor.hyperparameters["units"]
        complement = 1 - spec.hyperparameters["momentum"]
        assert spec.hyperparameters["one_minus_momentum"] == pytest.approx(complement)
        assert spec.seed == donor.seed


def test_a_recipe_has_each_ancestors_values_from_the_epoch_of_its_fork_on(alone):
    deepest = max(alone.specs.values(), key=lambda spec: len(spec.recipe))
    assert len(deepest.recipe) >= 3
    spec = deepest
    for epoch, hyperparameters in reversed(deepest.recipe[1:]):
        assert (spec.origin["epoch"], spec.hyperparameters) == (epoch, hyperparameters)
        spec = alone.specs[spec.origin["trial"]]
    assert deepest.recipe[0] == (0, spec.hyperparameters)


@pytest.mark.parametrize("most", range(5, 80, 6))
def test_told_its_records_again_a_search_goes_on_as_if_nothing_had_been(alone, most):
    half = Played(2, 1).play(most)
    begun = [spec for trial, spec in half.specs.items() if trial in half.epoch]
    again = Played(2, 2, rows=half.rows, specs=begun)
    again.specs, again.epoch = {spec.trial: spec for spec in begun}, dict(half.epoch)
    over = {trial for trial, epoch in half.epoch.items() if epoch == 12}
    over |= set(again.search.dropped)
    for trial in over:
        again.search.recall_ending(trial, "finished" if half.epoch[trial] == 12 else "stopped")
    again.search.take_up(dict(again.specs), over)
    assert again.play().specs == alone.specs


def test_a_constraint_holds_for_copies_too():
    plan = plan_of(constraints=["learning_rate <= 0.3"], factor=3)
    for spec in Played(plan=plan).play().specs.values():
        assert spec.hyperparameters["learning_rate"] <= 0.3


def test_one_that_is_closed_begins_no_copy_and_waits_for_none():
    played = Played().play(most=15)  # five of eight have come to the first comparison
    played.search.close()
    played.play()
    assert len(played.specs) == 5 and not any(spec.origin for spec in played.specs.values())
    assert max(played.epoch.values()) == 12


@pytest.mark.parametrize(
    ("space", "change", "said"),
    [
        ({"learning_rate": 0.1, "units": "choice([8, 16])"}, "auto", "expected a space with a range of what"),
        (SPACE, ["units"], "Received: 'units'"),
        (SPACE, ["learning_rat"], "learning_rate"),
    ],
)  # fmt: skip
def test_what_cannot_change_while_a_model_trains_is_refused(space, change, said):
    with pytest.raises(ExperimentFileError, match=said.replace("(", r"\(")):
        changing(PbtOptions(change=change), Space.parse(space), LIVE)
