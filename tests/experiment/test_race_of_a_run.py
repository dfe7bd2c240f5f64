"""The best configurations of a run are trained again with fresh seeds, and the winner is chosen by those."""

from __future__ import annotations

import pytest

from orchestrator.errors import ExperimentFileError, RecordError
from orchestrator.experiment import extend, preview, resume, run, verify
from orchestrator.records import read_run
from orchestrator.report import show_lines
from orchestrator.report.race_text import race_lines
from orchestrator.search.finalists import replicate_seed
from orchestrator.trials import StateStore
from tests.depth import in_depth
from tests.experiment.inline import InlineTuner

# The noise of a seed is the same for all rates; a lucky first training is what the search alone would take.
MINE = """
import random

LUCK = {0.3: 0.2}

def train(hp, report, *, seed):
    noise = random.Random(f"{seed} {hp['rate']}").gauss(0, 0.002)
    luck = LUCK.get(hp["rate"], 0) if seed in FIRST else 0
    for epoch in range(1, 4):
        report(epoch, val_accuracy=0.8 - 0.1 * abs(hp["rate"] - 0.2) + 0.001 * epoch + noise + luck)

FIRST = set(SEEDS)
"""
KEYS = {
    "name": "fn", "trial": "./mine.py:train", "metric": "val_accuracy", "epochs": 3,
    "search_space": {"rate": "choice([0.1, 0.2, 0.3, 0.5, 0.9])"},
    "caviar": {"num_samples": 5, "scheduler": "none", "finalists": False},
}  # fmt: skip
RACING = {**KEYS, "caviar": {**KEYS["caviar"], "finalists": {"top": 3, "seeds": 4, "budget": 10}}}
QUIETLY = {"executor": "inline", "progress": False}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from orchestrator.search.plan import trial_seed

    seeds = [trial_seed(0, index) for index in range(5)]
    (tmp_path / "mine.py").write_text(MINE.replace("SEEDS", str(seeds)))
    return tmp_path


def rates(records):
    return {trial.trial: trial.hyperparameters["rate"] for trial in records.all_trials}


def facts(records):
    """What is recorded of each trial and of the race, but for times."""
    rows = [(row["trial"], row["epoch"], row["metrics"]) for row in records.epochs]
    trials = {t.trial: (t.ending, t.seed, t.repeats) for t in records.all_trials}
    race = {
        k: v for k, v in (records.state.race_result or {}).items() if k not in ("time", "crc32")
    }
    return sorted(rows, key=lambda row: row[:2]), trials, race, records.winner["trial"]


def test_a_lucky_first_row_does_not_win():
    alone = run({**KEYS, "name": "alone"}, **QUIETLY)
    raced = run(RACING, **QUIETLY)

    assert alone.best.hyperparameters["rate"] == 0.3
    assert raced.best.hyperparameters["rate"] == 0.2
    table = raced.table()
    assert table["race"].iloc[0] == "winner" and table["rate"].iloc[0] == 0.2
    assert table["replicates"].iloc[0] >= 2
    assert table["low"].iloc[0] < table["mean_val_accuracy"].iloc[0] < table["high"].iloc[0]


def test_replicates_of_one_number_share_a_seed_that_no_trial_has():
    records = run(RACING, **QUIETLY).records

    seeds = {t.replicate: set() for t in records.replicates}
    for trial in records.replicates:
        seeds[trial.replicate].add(trial.seed)
    assert seeds == {number: {replicate_seed(0, number)} for number in seeds}
    assert not {t.seed for t in records.trials} & {t.seed for t in records.replicates}


def test_a_replicate_is_a_trial_of_the_run_and_no_trial_of_the_search():
    done = run(RACING, **QUIETLY)

    assert len(done.records.trials) == 5 == done.records.state.done
    assert len(done.table()) == 5
    assert len(done.table(replicates=True)) == 5 + len(done.records.replicates)
    assert {t.index for t in done.records.replicates} <= {t.index for t in done.records.trials}
    assert done.curves()["config"].nunique() == 5


def test_the_winner_is_the_best_replicate_and_only_its_state_is_kept():
    records = run(RACING, **QUIETLY).records

    winner = records.winner["trial"]
    mine = [t.trial for t in records.replicates if rates(records)[t.trial] == 0.2]
    assert winner == max(mine, key=lambda name: records.of(name).best.value)
    assert StateStore.of(records.folder).with_best() == [winner]


@pytest.mark.parametrize("reports", in_depth([14, 16, 19, 23, 27], 23))
def test_a_race_that_was_cut_off_goes_on_to_the_same_end(reports):
    whole = run({**RACING, "name": "whole"}, **QUIETLY)
    tuner = InlineTuner()
    tuner.most = reports
    cut = run(RACING, executor=tuner, progress=False)
    assert cut.status == "interrupted"

    again = resume(cut, **QUIETLY)

    assert facts(again.records) == facts(whole.records)
    assert len([e for e in again.records.events if e["event"] == "race_began"]) == 1
    assert resume(again, **QUIETLY).records.epochs == again.records.epochs


def test_a_reproducible_search_is_raced_too_and_goes_on_where_it_was_cut_off():
    caviar = {"scheduler": "asha", "reproducible": True, "finalists": RACING["caviar"]["finalists"]}
    keys = {**RACING, "caviar": {**RACING["caviar"], **caviar}}
    whole, tuner = run({**keys, "name": "whole"}, **QUIETLY), InlineTuner()
    tuner.most = 16
    cut = run(keys, executor=tuner, progress=False)

    assert whole.status == "finished" and whole.records.state.race_result
    assert any(trial.is_over for trial in cut.records.replicates)
    assert facts(resume(cut, **QUIETLY).records) == facts(whole.records)


def test_a_finished_run_is_verified_afterwards_and_its_winner_changes():
    done = run(KEYS, **QUIETLY)
    before = done.best.hyperparameters["rate"]

    checked = verify(done, top=3, seeds=4, **QUIETLY)

    assert (before, checked.best.hyperparameters["rate"]) == (0.3, 0.2)
    assert checked.status == "finished" and checked.records.winner["trial"] == checked.best.trial
    text = "\n".join(show_lines(checked.records, 80))
    assert "Race: 3 configurations" in text and "The search's own first was" in text
    assert max(map(len, text.splitlines())) <= 80 or str(checked.path) in text


def test_a_verification_that_was_cut_off_is_resumed_by_its_own_options():
    done = run(KEYS, **QUIETLY)
    tuner = InlineTuner()
    tuner.most = 10
    cut = verify(done, top=2, seeds=3, executor=tuner, progress=False)
    assert cut.status == "interrupted"

    again = resume(cut, **QUIETLY)

    assert again.status == "finished"
    assert len(again.records.state.race["finalists"]) == 2 and again.records.state.race_result


def test_verifying_again_with_more_seeds_reuses_the_replicates():
    first = verify(run(KEYS, **QUIETLY), top=2, seeds=2, confidence=0.999, **QUIETLY)
    epochs = len(first.records.epochs)

    second = verify(first, top=2, seeds=3, confidence=0.9999999, **QUIETLY)

    assert len(second.records.replicates) == 6
    assert len(second.records.epochs) == epochs + 2 * 3


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"top": 1}, "--top 1: expected a number of at least 2"),
        ({"seeds": "many"}, "--seeds many: expected a whole number"),
        ({"budget": "1 %"}, "need 12 epochs; budget 1% of the search's 15 epochs is 0"),
        ({"confidence": 1.5}, "--confidence 1.5: expected a number below 1"),
    ],
)
def test_a_race_that_cannot_be_is_refused_in_a_sentence_and_nothing_is_written(more, said):
    done = run(KEYS, **QUIETLY)
    before = (done.path / "events.jsonl").read_text()

    with pytest.raises((ExperimentFileError, RecordError)) as refused:
        verify(done, **more, **QUIETLY)

    assert said in str(refused.value)
    assert (done.path / "events.jsonl").read_text() == before


def test_an_interrupted_run_is_to_be_resumed_first():
    tuner = InlineTuner()
    tuner.most = 3
    cut = run(KEYS, executor=tuner, progress=False)

    with pytest.raises(
        RecordError, match=r"expected a finished run\. Received: one that was cut off"
    ):
        verify(cut, **QUIETLY)


def test_a_search_too_small_for_a_race_says_so_where_one_was_asked_for():
    asked = run({**KEYS, "caviar": {**KEYS["caviar"], "finalists": True}}, **QUIETLY)
    plain = run(
        {**KEYS, "name": "auto", "caviar": {**KEYS["caviar"], "finalists": "auto"}}, **QUIETLY
    )

    [event] = [e for e in asked.records.events if e["event"] == "not_raced"]
    assert "two finalists with two seeds each need 12 epochs" in event["reason"]
    assert {e["event"] for e in plain.records.events} == {"run_started", "winner", "run_finished"}


def test_a_configuration_whose_replicates_fail_cannot_win(here):
    text = (here / "mine.py").read_text()
    failing = text.replace(
        "    noise =", "    assert hp['rate'] != 0.2 or seed in FIRST, 'unlucky'\n    noise ="
    )
    (here / "mine.py").write_text(failing)

    done = run(RACING, **QUIETLY)

    assert done.best.hyperparameters["rate"] != 0.2
    table = done.table()
    [row] = table[table["rate"] == 0.2]["race"]
    assert row == "dropped: 2 of 2 replicates failed"


def test_of_the_one_that_is_left_by_others_failures_no_chance_is_told(here):
    text = (here / "mine.py").read_text()
    failing = text.replace(
        "    noise =", "    assert hp['rate'] == 0.2 or seed in FIRST, 'unlucky'\n    noise ="
    )
    (here / "mine.py").write_text(failing)
    done = run(RACING, **QUIETLY)
    ended = done.records.state.race_result
    assert (ended["chance"], ended["chances"]) == (None, {})
    assert done.best.hyperparameters["rate"] == 0.2
    assert "wins, since a replicate of each other one failed." in race_lines(done.records, 200)[0]


def test_extending_by_trials_ends_the_race_and_begins_another_that_reuses_its_replicates():
    space = {"rate": "choice([0.1, 0.2, 0.3, 0.5, 0.9])", "other": "choice([1, 2])"}
    first = run({**RACING, "search_space": space}, **QUIETLY)
    raced = {t.trial for t in first.records.replicates}

    longer = extend(first, num_samples="+3", **QUIETLY)

    assert len([e for e in longer.records.events if e["event"] == "race_began"]) == 2
    assert longer.status == "finished" and longer.records.state.race_result
    assert raced <= {t.trial for t in longer.records.replicates}
    assert read_run(longer.path, exact=True).winner["trial"] == longer.best.trial


def test_extending_by_epochs_ends_the_race_and_the_next_one_has_replicates_of_its_own(here):
    text = (here / "mine.py").read_text()
    (here / "mine.py").write_text(text.replace("range(1, 4)", "range(1, 9)"))
    first = run(RACING, **QUIETLY)

    longer = extend(first, epochs="+1", **QUIETLY)

    [before, after] = [e for e in longer.records.events if e["event"] == "race_began"]
    assert (before["first"], after["first"] > 1) == (1, True)
    assert longer.status == "finished" and longer.records.state.race_result
    mine = longer.records.state.replicates_of(longer.records.state.race_result["winner"])
    assert {len(longer.records.of(each.trial).epochs) for each in mine} == {4}


def test_preview_says_what_the_finalists_cost_at_most():
    from orchestrator.cli.preview_text import preview_text

    said = preview_text(
        preview({**KEYS, "caviar": {**KEYS["caviar"], "finalists": {"budget": "100 %"}}}), 80
    )

    assert "finalists at most 15 epochs more: the best 5 again, with up to 5 seeds" in said


def test_the_options_are_recorded_in_their_short_form_where_that_says_all():
    done = run({**KEYS, "caviar": {**KEYS["caviar"], "finalists": "auto"}}, **QUIETLY)

    assert done.records.experiment["caviar"]["finalists"] == "auto"
