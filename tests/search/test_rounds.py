"""Rounds: when the trials of one are over, the next one begins in a space that follows from them; records keep that."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from orchestrator.domains import Space
from orchestrator.records import TrialEnd
from orchestrator.search import Round, Search
from orchestrator.search.steps import Done, NextRound, Start, Wait
from tests.search.test_search import plan_of, row


class Narrower:
    """Halves the range of the learning rate, on its log scale, around the best trial; two rounds."""

    def __init__(self):
        self.told = []

    def tell(self, seen):
        self.told.append(seen)

    def after(self, last):
        if last.number == 2:
            return None
        best = max(
            (seen for seen in self.told if seen.value is not None), key=lambda seen: seen.value
        )
        rate = best.hyperparameters["learning_rate"]
        space = Space.parse({"learning_rate": f"loguniform({rate / 2}, {rate * 2})", "units": 8})
        return Round(2, space, last.end, 2)


@dataclass(frozen=True)
class TwoRounds:
    trials: int

    def make(self, epochs, mode):
        return Narrower()


def searching(count=2):
    return Search(replace(plan_of(count), rounds=TwoRounds(count + 2)))


def trained(search, values):
    """Have as many trials begin, report and end; return their steps."""
    steps = []
    for value in values:
        steps.append(search.next())
        search.tell(row(steps[-1].spec.trial, 1, value))
        search.tell(TrialEnd(steps[-1].spec.trial, "finished", 1.0))
    return steps


def test_the_next_round_begins_once_the_trials_of_the_last_one_are_over():
    search = searching()
    first = [search.next().spec for _ in range(2)]
    assert isinstance(search.next(), Wait) and not search.is_done
    for spec, value in zip(first, (0.2, 0.9), strict=True):
        search.tell(row(spec.trial, 1, value))
        search.tell(TrialEnd(spec.trial, "finished", 1.0))
    began = search.next()
    assert isinstance(began, NextRound) and (began.round.number, began.round.first) == (2, 2)
    best = first[1].hyperparameters["learning_rate"]
    later = trained(search, (0.3, 0.4))
    assert [step.spec.trial for step in later] == ["00002", "00003"]
    assert all(best / 2 <= s.spec.hyperparameters["learning_rate"] <= best * 2 for s in later)
    assert all(step.spec.hyperparameters["units"] == 8 for step in later)
    assert isinstance(search.next(), Done) and search.is_done


def test_a_round_is_read_back_from_its_event():
    search = searching()
    trained(search, (0.2, 0.9))
    began = search.next().round
    assert Round.from_plain({"event": "round_began", **began.to_plain()}) == began


@pytest.mark.parametrize("known", range(5))
def test_being_told_the_records_again_rebuilds_it(known):
    """Where ``known`` trials are over when its driver dies, the others come as they would have."""
    whole = searching()
    steps = [*trained(whole, (0.2, 0.9)), whole.next(), *trained(whole, (0.3, 0.4))]
    specs = [step.spec for step in steps if isinstance(step, Start)]
    again = searching()
    if known > 2:
        again.recall(steps[2].round)
    for spec, value in zip(specs[:known], (0.2, 0.9, 0.3, 0.4), strict=False):
        again.recall(spec)
        again.tell(row(spec.trial, 1, value))
        again.recall_ending(spec.trial, "finished")
    names = {spec.trial: spec for spec in specs[:known]}
    again.take_up(names, set(names))
    coming = []
    while not isinstance(step := again.next(), Done):
        coming.append(step)
        if isinstance(step, Start):
            index = step.spec.index
            again.tell(row(step.spec.trial, 1, (0.2, 0.9, 0.3, 0.4)[index]))
            again.tell(TrialEnd(step.spec.trial, "finished", 1.0))
    assert coming == (
        steps[known:] if known < 2 else steps[2:] if known == 2 else steps[known + 1 :]
    )


def test_a_round_keeps_its_constraints_in_the_records():
    space = Space.parse({"units": "integer(1, 64)"}, constraints=["units < 32"])
    began = Round(2, space, 4, 4)
    assert Round.from_plain({"event": "round_began", **began.to_plain()}) == began
