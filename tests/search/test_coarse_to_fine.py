"""A search in rounds from coarse to fine: how trials are split, where each is drawn from, that a resume repeats it."""

from __future__ import annotations

import itertools
import math

import pytest

from orchestrator.config import parse_experiment
from orchestrator.config.load import to_yaml
from orchestrator.domains import Space
from orchestrator.errors import ExperimentFileError
from orchestrator.records import TrialEnd
from orchestrator.search import Round, Search, make_plan
from orchestrator.search.steps import Done, NextRound, Resume, Start, Wait
from tests.search.test_search import Halving, row

SPACE = {"learning_rate": "loguniform(1e-4, 1)", "units": "integer(1, 64)"}


def experiment_of(caviar, **more):
    return parse_experiment(
        {
            "name": "one", "model": "mlp", "data": "digits", "metric": "val_accuracy", "mode": "max",
            "search_space": SPACE, "epochs": 1, "caviar": {"scheduler": "none", "finalists": False, **caviar}, **more,
        }
    )  # fmt: skip


def plan_of(trials=60, rounds=3, **more):
    caviar = {"num_samples": trials, "rounds": rounds}
    return make_plan(experiment_of(caviar, **more), Space.parse(SPACE))


def value_of(spec):
    return -abs(math.log10(spec.hyperparameters["learning_rate"]) + 2)


def told(search, spec):
    search.tell(row(spec.trial, 1, value_of(spec)))
    search.tell(TrialEnd(spec.trial, "finished", 1.0))


def through(search):
    """Train all that a search gives, one after another; return its steps."""
    steps = []
    while not isinstance(step := search.next(), Done):
        steps.append(step)
        if isinstance(step, Start):
            told(search, step.spec)
    return steps


def rounds_in(steps):
    return [step.round for step in steps if isinstance(step, NextRound)]


def specs_in(steps):
    return [step.spec for step in steps if isinstance(step, Start)]


@pytest.mark.parametrize(("trials", "sizes"), [(60, [20, 20, 20]), (64, [22, 21, 21])])
def test_the_trials_are_split_over_the_rounds(trials, sizes):
    plan = plan_of(trials)
    assert plan.rounds.sizes == tuple(sizes) and plan.trials_in_all == trials
    steps = through(Search(plan))
    assert [begun.trials for begun in rounds_in(steps)] == sizes[1:]
    assert [spec.index for spec in specs_in(steps)] == list(range(trials))


def test_each_round_is_drawn_from_a_space_that_follows_from_the_last():
    steps = through(Search(plan_of()))
    widths = [
        math.log10(
            begun.space.domains["learning_rate"].max / begun.space.domains["learning_rate"].min
        )
        for begun in rounds_in(steps)
    ]
    assert 4 > widths[0] > widths[1] >= 1
    for begun in rounds_in(steps):
        inside = specs_in(steps)[begun.first : begun.end]
        assert sum(begun.holds(spec.hyperparameters) for spec in inside) >= 16


def test_a_fifth_of_any_stretch_is_drawn_from_the_whole_space_whatever_the_round():
    begun = Round(2, Space.parse(SPACE), 20, 20, 0.2)
    for seed in range(5):
        whole = [index for index in range(1000) if begun.is_whole(seed, index)]
        assert len(whole) == 200
        assert {later - index for index, later in itertools.pairwise(whole)} == {5}
        assert whole == [index for index in range(1000) if begun.is_whole(seed, index)]
    assert not any(Round(1, begun.space, 0, 20).is_whole(0, index) for index in range(100))


def test_a_trial_from_the_whole_space_is_the_one_of_a_run_without_rounds():
    plan = plan_of()
    steps = through(Search(plan))
    drawn = {spec.index: dict(spec.hyperparameters) for spec in specs_in(steps)}
    whole = [
        i
        for begun in rounds_in(steps)
        for i in range(begun.first, begun.end)
        if begun.is_whole(0, i)
    ]
    assert len(whole) == 8
    assert all(drawn[index] == plan.space.draw(0, index) for index in [*range(20), *whole])


def test_share_of_whole_may_be_another():
    steps = through(Search(plan_of(rounds={"number": 3, "share_of_whole": 0})))
    assert all(
        begun.holds(spec.hyperparameters)
        for begun in rounds_in(steps)
        for spec in specs_in(steps)[begun.first : begun.end]
    )


def test_the_same_search_has_the_same_rounds():
    assert through(Search(plan_of())) == through(Search(plan_of()))


@pytest.mark.parametrize("known", [0, 7, 20, 21, 39, 40, 41, 60])
def test_being_told_the_records_again_leads_to_the_same_rounds(known):
    steps = through(Search(plan_of()))
    specs, rounds = specs_in(steps), rounds_in(steps)
    again = Search(plan_of())
    for begun in rounds:
        if begun.first < known:
            again.recall(Round.from_plain({"event": "round_began", **begun.to_plain()}))
    for spec in specs[:known][::-1]:
        again.recall(spec)
        again.tell(row(spec.trial, 1, value_of(spec)))
        again.recall_ending(spec.trial, "finished")
    again.take_up({s.trial: s for s in specs[:known]}, {s.trial for s in specs[:known]})
    coming = through(again)
    assert specs_in(coming) == specs[known:]
    assert rounds_in(coming) == [begun for begun in rounds if begun.first >= known]


def test_a_round_is_read_back_with_its_findings():
    begun = rounds_in(through(Search(plan_of())))[0]
    assert begun.findings and begun.share_of_whole == 0.2
    assert Round.from_plain({"event": "round_began", **begun.to_plain()}) == begun
    assert [each["hyperparameter"] for each in begun.findings] == ["learning_rate", "units"]


def recalled(plan, steps):
    search = Search(plan)
    for begun in rounds_in(steps):
        search.recall(begun)
    specs = specs_in(steps)
    for spec in specs:
        search.recall(spec)
        search.tell(row(spec.trial, 1, value_of(spec)))
        search.recall_ending(spec.trial, "finished")
    search.take_up({spec.trial: spec for spec in specs}, {spec.trial for spec in specs})
    return search


def test_more_trials_are_one_more_round_after_the_recorded_ones():
    steps = through(Search(plan_of()))
    coming = through(recalled(plan_of(90), steps))
    [begun] = rounds_in(coming)
    assert (begun.number, begun.first, begun.trials) == (4, 60, 30)
    assert [spec.index for spec in specs_in(coming)] == list(range(60, 90))


def test_more_rounds_share_the_trials_that_are_added():
    coming = through(recalled(plan_of(90, rounds=5), through(Search(plan_of()))))
    assert [(begun.number, begun.first, begun.trials) for begun in rounds_in(coming)] == [
        (4, 60, 15),
        (5, 75, 15),
    ]


def test_rounds_added_to_a_run_without_any_begin_after_its_trials():
    coming = through(recalled(plan_of(90, rounds=2), through(Search(plan_of(60, rounds=1)))))
    assert [(begun.number, begun.first, begun.trials) for begun in rounds_in(coming)] == [
        (2, 60, 30)
    ]


def test_paused_trials_do_not_hold_up_the_next_round_and_go_on_in_it():
    halving = Halving(40)
    search = Search(plan_of(48, epochs=3), halving)
    first = [search.next().spec for _ in range(16)]
    assert isinstance(search.next(), Wait)
    for spec in first:
        search.tell(row(spec.trial, 1, value_of(spec)))
    assert isinstance(search.next(), NextRound) and len(search.paused) == 16
    for _ in range(24):
        step = search.next()
        step = search.next() if isinstance(step, NextRound) else step
        search.tell(row(step.spec.trial, 1, value_of(step.spec)))
    assert isinstance(search.next(), Resume)


class Listening:
    """A searcher that remembers of which trials it was told."""

    def __init__(self):
        self.told = set()

    def ask(self, index):
        return {}

    def tell(self, seen):
        self.told.add(seen.trial)


class Learning:
    learns = True

    def __init__(self):
        self.made = []

    def make(self, space, seed, epochs, mode):
        self.made.append(Listening())
        return self.made[-1]


def test_a_rounds_searcher_knows_the_earlier_trials_that_lie_in_its_space_and_no_others():
    from dataclasses import replace

    maker = Learning()
    steps = through(Search(replace(plan_of(), searcher=maker)))
    last = rounds_in(steps)[-1]
    inside = {s.trial for s in specs_in(steps) if last.holds(s.hyperparameters)}
    assert maker.made[-1].told == inside and min(inside) < "00020"


@pytest.mark.parametrize(("trials", "number"), [(8, 1), (31, 1), (32, 2), (48, 3), (500, 3)])
def test_auto_has_as_many_rounds_as_the_trials_suffice_for(trials, number):
    rounds = plan_of(trials, rounds="auto").rounds
    assert (rounds.number if rounds else 1) == number


def test_too_few_trials_are_refused_with_the_number_that_suffices():
    with pytest.raises(ExperimentFileError, match="at least 48 trials for 3 rounds"):
        experiment_of({"num_samples": 47, "rounds": 3})
    experiment_of({"num_samples": 48, "rounds": 3})


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("three", "expected a number of rounds, auto, or options"),
        (0, "1"),
        ({"nmber": 3}, "number"),
        ({"number": 2, "share_of_whole": 1.0}, "below 1"),
        ({"number": 2, "keep": 0.7}, "at most 0.5"),
        ({"number": 2, "hard": "learning_rate"}, "hard"),
    ],
)
def test_bad_rounds_are_refused(written, said):
    with pytest.raises(ExperimentFileError, match=said):
        experiment_of({"rounds": written})


@pytest.mark.parametrize("written", [1, 3, "auto", {"number": 3, "hard": ["units"], "keep": 0.2}])
def test_rounds_are_written_as_they_are_read(written):
    experiment = experiment_of({"rounds": written})
    assert parse_experiment(experiment.model_dump()) == experiment
    if not isinstance(written, dict):
        assert f"  rounds: {written}\n" in to_yaml(experiment)


def test_a_file_without_rounds_has_the_plan_it_had():
    plan = make_plan(experiment_of({"num_samples": 60}), Space.parse(SPACE))
    assert plan.rounds is None and plan.num_trials == 60


def test_a_hard_hyperparameter_that_the_space_lacks_is_refused():
    with pytest.raises(
        ExperimentFileError,
        match=r"caviar\.rounds\.hard: .* Received: 'learning_rat'.*'learning_rate'",
    ):
        plan_of(rounds={"number": 3, "hard": ["learning_rat"]})
