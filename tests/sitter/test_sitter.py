from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import SitterOptions
from orchestrator.sitter import DayRecord, Finding
from tests.sitter.watching import Watching

METRICS = ("loss", "val_loss", "val_accuracy")
VALUES = st.floats() | st.none() | st.integers() | st.sampled_from(["NaN", "Infinity", 10**400])
ROWS = st.lists(
    st.dictionaries(st.sampled_from(METRICS), VALUES | st.floats(0, 1)), min_size=1, max_size=60
)
OPTIONS = st.builds(
    lambda mode, patience, branching: SitterOptions.model_validate(
        {"mode": mode, "patience": patience, "branch_and_compare": branching}
    ),
    st.sampled_from(["off", "advise", "act"]),
    st.integers(1, 4),
    st.sampled_from(["on", "off"]),
)
METRIC = st.sampled_from([("val_accuracy", "max"), ("val_loss", "min"), ("absent", "max")])


def live(sitter: Watching, rows, per_day=2, obey=True) -> list[Finding]:
    """Show a sitter epochs and days; in the mode act, go back as it asks."""
    kept, found, day, rate = {0: sitter.memory}, [], 0, 0.1
    for index, row in enumerate(rows, 1):
        now = sitter.after_epoch(row, rate)
        if index % per_day == 0 and not now:
            day += 1
            now = sitter.after_day(DayRecord(day, index, row, {"learning_rate": rate}))
            kept[day] = sitter.memory
        found += now
        for finding in now:
            if obey and finding.action in ("rollback", "branch_and_compare"):
                rate = finding.changes.get("learning_rate", rate)
                assert finding.to_day in sitter.needed_days | {0}
                sitter.return_to(kept[finding.to_day])
                day = finding.to_day
                break
    return found


@given(ROWS, OPTIONS, METRIC, st.booleans())
def test_no_history_makes_it_fail_and_its_memory_is_always_json(rows, options, metric, obey):
    sitter = Watching(options, *metric, 100)
    live(sitter, rows, obey=obey and options.mode == "act")
    assert json.loads(json.dumps(sitter.memory, allow_nan=False)) == sitter.memory


@given(ROWS, OPTIONS, METRIC, st.booleans())
def test_it_never_acts_more_often_than_its_limits_allow(rows, options, metric, obey):
    sitter = Watching(options, *metric, 100, budget_epochs=40)
    found = live(sitter, rows, obey=obey) if options.mode == "act" else []
    counts = {rule: 0 for rule in ("divergence", "plateau", "branch_and_compare")}
    for finding in found:
        counts[finding.rule] = counts.get(finding.rule, 0) + (
            finding.action in ("rollback", "branch_and_compare")
        )
    assert counts["divergence"] <= options.divergence.most_rollbacks
    assert counts["plateau"] <= options.plateau.most_reductions
    assert counts["branch_and_compare"] * 3 <= 40 * 0.2


@given(ROWS, OPTIONS, METRIC)
def test_off_never_says_anything(rows, options, metric):
    silent = options.model_copy(update={"mode": "off"})
    assert live(Watching(silent, *metric, 100), rows) == []


@given(ROWS, ROWS, OPTIONS, METRIC)
def test_one_that_is_remembered_half_way_goes_on_as_the_other(before, after, options, metric):
    one = Watching(options, *metric, 100)
    live(one, before, obey=False)
    other = Watching(options, *metric, 100)
    other.remember(json.loads(json.dumps(one.memory)))
    assert repr(live(one, after, obey=False)) == repr(live(other, after, obey=False))
    assert one.memory == other.memory


def test_a_rollback_of_the_sitter_s_forgets_what_was_seen_and_not_what_was_spent(sitter, day):
    watching = sitter()
    watching.after_epoch({"loss": 1.0}, 0.1)
    kept = watching.memory
    watching.after_epoch({"loss": 9.0}, 0.1)
    watching.return_to(kept)
    assert watching.memory["losses"] == [1.0]
    assert (watching.memory["rollbacks"], watching.memory["diverged"]) == (1, False)


def test_a_rollback_of_a_human_s_forgets_both(sitter):
    watching = sitter()
    watching.after_epoch({"loss": 1.0}, 0.1)
    kept = watching.memory
    watching.after_epoch({"loss": 9.0}, 0.1)
    watching.remember(kept)
    assert watching.memory == kept


def test_the_best_day_and_the_last_good_ones_are_needed(sitter, day):
    watching = sitter(divergence={"most_rollbacks": 1}, patience=9)
    for number, accuracy in enumerate([0.1, 0.9, 0.8, 0.8, 0.8]):
        watching.after_day(day(number, accuracy))
    assert watching.needed_days == {1, 3, 4}


def test_a_memory_is_a_copy(sitter):
    watching = sitter()
    watching.memory["losses"].append(3.0)
    assert watching.memory["losses"] == []


@pytest.mark.parametrize("seed", range(5))
def test_an_ordinary_curve_is_never_taken_for_a_divergence(sitter, seed):
    draw, watching = random.Random(seed), sitter()
    for epoch in range(60):
        loss = (0.02 + 2.3 / (1 + epoch)) * draw.uniform(0.8, 1.25)
        assert watching.after_epoch({"loss": loss}, 0.1) == []
