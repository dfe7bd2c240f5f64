"""A run whose finalists are trained again beside its last trials: what it records, and what a kill leaves of that."""

from __future__ import annotations

import shutil
from functools import partial

import pytest

from orchestrator.experiment import resume, run
from orchestrator.records import RunFolder, read_run
from orchestrator.records.status import run_status
from orchestrator.report import show_lines
from orchestrator.report.live.progress import Progress
from orchestrator.tuning.protocol import Outcome
from tests.depth import in_depth
from tests.tuning.races import MadeUp, Player

KEYS = {
    "name": "fn", "trial": "./mine.py:train", "metric": "val_accuracy", "epochs": 6,
    "search_space": {"rate": "uniform(0, 1)"},
    "caviar": {"num_samples": 7, "scheduler": "none",
               "finalists": {"top": 4, "seeds": 3, "budget": 10}},
}  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def train(hp, report): pass\n")


def executor(most=10**6, story=1, at=None, then=None):
    """Three workers, which train made-up trials until so many reports were heard."""

    def run_plan(plan, job, listener, sitting):
        player = Player(MadeUp(story, plan.metric), 3, most)
        player.before = {at: partial(then, job.home)} if then else {}
        player.play(plan, listener, sitting)
        listener.verdict()
        return Outcome(ended=True)

    return run_plan


def trained(keys, **how):
    return run(keys, executor=executor(**how), progress=False)


def facts(records):
    """What is recorded of each trial, once each, and of the race, but for times."""
    rows = sorted(
        (row["trial"], row["epoch"], row["metrics"]["val_accuracy"]) for row in records.epochs
    )
    trials = {t.trial: (t.ending, t.seed, t.repeats) for t in records.all_trials}
    race = [
        {k: v for k, v in (event or {}).items() if k not in ("time", "crc32")}
        for event in (records.state.race, records.state.race_result)
    ]
    return rows, trials, race, records.leader.trial


def test_replicates_of_who_is_sure_to_race_begin_before_the_race_and_the_events_say_so():
    records = trained(KEYS).records

    events = [event["event"] for event in records.events]
    known = [event for event in records.events if event["event"] == "finalist_known"]
    assert events.index("finalist_known") < events.index("race_began") < events.index("race_ended")
    assert {event["trial"] for event in known} < set(records.state.race["finalists"])
    assert (
        f"race: {known[0]['trial']} is in it, whatever the trials in training give"
        in known[0]["reason"]
    )
    assert records.state.known_finalists == {event["trial"]: 1 for event in known}


@pytest.mark.parametrize("reports", in_depth(range(36, 54, 2), 36, 46))
@pytest.mark.parametrize("kind", ["asked to stop", "killed"])
def test_a_run_that_ends_before_its_race_begins_goes_on_with_the_replicates_that_it_has(
    reports, kind, tmp_path
):
    whole = trained({**KEYS, "name": "whole"})
    if kind == "killed":
        trained(KEYS, at=reports, then=lambda home: shutil.copytree(home, tmp_path / "killed"))
        cut = tmp_path / "killed"
        for file in ("driver.json", "driver.lock"):
            (cut / file).unlink(missing_ok=True)
    else:
        cut = trained(KEYS, most=reports).path

    assert read_run(cut).state.race is None and read_run(cut).replicates
    again = resume(cut, executor=executor(), progress=False)

    assert facts(again.records) == facts(whole.records)
    begun = [line.trial for line in again.records.trial_lines if hasattr(line, "seed")]
    assert set(begun) == {t.trial for t in whole.records.all_trials}


def cut_before_the_race():
    """A run that was stopped while a replicate and a trial of the search were in training."""
    for reports in range(25, 60):
        cut = trained({**KEYS, "name": f"cut{reports}"}, most=reports)
        if any(t.ending == "finished" for t in cut.records.replicates):
            return cut
    raise AssertionError


def test_a_run_that_was_stopped_before_its_race_reads_well():
    cut = cut_before_the_race()
    records = cut.records
    assert records.state.race is None and not all(t.is_over for t in records.trials)

    replicates = [t.trial for t in records.replicates]
    assert {t for t in cut.table(replicates=True)["trial"] if "-r" in t} == {*replicates}
    assert not set(cut.table()["trial"]) & set(replicates)
    assert "Race" not in "\n".join(show_lines(records, 80))
    status = run_status(RunFolder(cut.path))
    assert status.trials == 7 and status.trials_done == len(
        [t for t in records.trials if t.is_over]
    )
    assert status.best_trial in {t.trial for t in records.trials}
    cut.report()


def test_a_view_says_which_trials_are_of_the_race_to_come_and_counts_the_search_s_alone():
    records = cut_before_the_race().records
    seen = Progress(7, 6, "val_accuracy", "max")
    lines = [line for line in records.trial_lines if getattr(line, "status", "") != "interrupted"]
    seen.take_up([*lines, *records.epochs, *records.events])

    running = [t for t in records.all_trials if t.ending == "interrupted"]
    again = sum(t.repeats is not None for t in running)
    assert (
        again and f"{len(running)} running, {again} of them for the race to come" in seen.counted()
    )
    assert seen.share() < 1
