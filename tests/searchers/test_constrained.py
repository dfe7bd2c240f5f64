"""Searchers that learn keep to the constraints of their space, and ask themselves again where they would not."""

from __future__ import annotations

import pytest

from orchestrator.domains import Space
from orchestrator.searchers import SEARCHERS, Observation, complete, misfit

DOCUMENT = {
    "units": "choice([8, 16, 32, 64], prior=64)",
    "layers": "integer(1, 4, prior=4, confidence=low)",
    "rate": "loguniform(1e-3, 1, prior=0.1)",
}
SPACE = Space.parse(DOCUMENT, constraints=["units * layers <= 64"])
LEARNING = [name for name, options in SEARCHERS.items() if options.learns]


def searched(name, space, trials=24, told=14):
    """What a searcher proposes, where a trial is the better the more it has of everything."""
    searcher = SEARCHERS[name]().make(space, 3, 9, "max")
    asked = []
    for index in range(trials):
        proposal = searcher.ask(index)
        asked.append(proposal)
        values = complete(proposal, space, 3, index)
        score = values["units"] * values["layers"] * values["rate"]
        if index < told:
            trial = f"{index:05}"
            searcher.tell(Observation(trial, values))
            searcher.tell(Observation(trial, values, 9, score, "finished"))
    return asked


@pytest.mark.parametrize("name", LEARNING)
def test_a_searcher_that_learns_proposes_nothing_that_breaks_a_constraint(name):
    asked = searched(name, SPACE)
    assert [misfit(each, SPACE) for each in asked] == [None] * len(asked)
    assert sum(bool(each) for each in asked) > len(asked) / 4
