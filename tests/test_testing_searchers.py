"""The exam that users run on their own searchers: ours pass it, and each way to fail it is named."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from orchestrator.searchers import SEARCHERS
from orchestrator.testing import check_searcher
from tests.depth import in_depth

EXAMPLES = {"gp": 1, "cqr": 1, "tpe": 3}
STARTUP = {"gp": 7, "cqr": 8}
"""Of those whose models take a while to fit."""


@pytest.mark.parametrize("name", in_depth(SEARCHERS, *({*SEARCHERS} - {*STARTUP})))
def test_ours_pass(name):
    kind = SEARCHERS[name]
    options = kind(startup=STARTUP.get(name, 3)) if "startup" in kind.model_fields else kind()
    check_searcher(options.make, examples=EXAMPLES.get(name, 10))


class Mine:
    """Repeats the best trial so far, and waits for one where none is known: simple, and right."""

    def __init__(self, space, seed, epochs, mode):
        self.space, self.seed = space, seed
        self.sign = 1 if mode == "max" else -1
        self.values, self.hyperparameters, self.began = {}, {}, set()

    def tell(self, seen):
        self.began.add(seen.trial)
        if seen.value is not None and np.isfinite(seen.value):
            self.values[seen.trial, seen.epoch] = self.sign * seen.value
            self.hyperparameters[seen.trial] = seen.hyperparameters

    def ask(self, index):
        if not self.values:
            return {} if len(self.began) < 2 else None
        trial, _ = max(self.values, key=lambda key: (self.values[key], key))
        own = self.hyperparameters[trial].items()
        return {name: value for name, value in own if name in self.space.domains}


class NoMapping(Mine):
    def ask(self, index):
        return [0.1]


class OutsideTheSpace(Mine):
    def ask(self, index):
        return {next(iter(self.space.domains)): 1e9}


class OfAnotherSpace(Mine):
    def ask(self, index):
        return {"depth": 3}


class ByChance(Mine):
    def ask(self, index):
        return self.space.draw(np.random.default_rng().integers(1000), index)


class Counts(Mine):
    """Goes by how often it was asked, which nobody records."""

    def __init__(self, **about):
        super().__init__(**about)
        self.asked = itertools.count()

    def ask(self, index):
        return self.space.draw(self.seed, next(self.asked))


class CountsTwice(Mine):
    """Goes by how much it was told: a thing that is told twice counts twice."""

    def __init__(self, **about):
        super().__init__(**about)
        self.told = 0

    def tell(self, seen):
        self.told += 1

    def ask(self, index):
        return self.space.draw(self.told, index)


class TheLastOne(Mine):
    """Goes by whom it was told of last, which no record keeps."""

    def tell(self, seen):
        self.last = int(seen.trial)

    def ask(self, index):
        return self.space.draw(getattr(self, "last", 0), index)


def test_a_right_one_passes():
    check_searcher(Mine)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (NoMapping, "ask(0): expected a mapping of hyperparameter to value, or None"),
        (OutsideTheSpace, "ask(0): learning_rate: expected a value of loguniform(1e-4, 1)"),
        (OfAnotherSpace, "expected hyperparameters of the space, got 'depth'"),
        (ByChance, "of a new searcher that was told the same in its order"),
        (Counts, "of a new searcher that was told the same in its order"),
        (CountsTwice, "of a new searcher that was told the same twice"),
        (TheLastOne, "of a new searcher that was told the same t"),
    ],
)
def test_each_way_to_fail_is_named(wrong, said):
    with pytest.raises(AssertionError) as caught:
        check_searcher(wrong)
    assert said in str(caught.value)
