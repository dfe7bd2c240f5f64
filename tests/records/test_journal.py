from __future__ import annotations

import math

import pytest

from orchestrator.errors import RecordError
from orchestrator.records import Request, RunFolder, RunWriter, read_run, write_request

START = {"learning_rate": 0.1, "momentum": 0.9}


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder.create(tmp_path, "panda")
    folder.write_experiment("name: panda\nstrategy: panda\nmetric: val_accuracy\nmode: max\n")
    return folder


def row(epoch, stretch=0, trial="00000", value=None):
    value = epoch / 100 if value is None else value
    metrics = {"val_accuracy": value}
    line = {"trial": trial, "epoch": epoch, "metrics": metrics, "seconds": 0.1}
    return {**line, "stretch": stretch} if stretch else line


def entry(kind, epoch, stretch=0, trial="00000", **facts):
    day = facts.pop("day", epoch // 3)
    common = {"kind": kind, "trial": trial, "epoch": epoch, "day": day, "stretch": stretch}
    return {**common, **facts}


def day(number, stretch=0, trial="00000", **changes):
    force = {**START, **changes}
    return entry("day", 3 * number, stretch, trial, hyperparameters=force, metrics={})


def applied(epoch, action="set", stretch=0, trial="00000", changes=None, **facts):
    pairs = {name: [None, new] for name, new in (changes or {}).items()}
    facts = {"request": None, "by": "who", "action": action, "changes": pairs, **facts}
    return entry("applied", epoch, stretch, trial, **facts)


def rolled_back(to_day, stretch, **facts):
    return applied(3 * to_day, "rollback", stretch, to_day=to_day, to_epoch=3 * to_day, **facts)


@pytest.fixture
def write(folder):
    """Return a function that appends rows and entries to the record and reads it back."""

    def written(*lines):
        with RunWriter(folder) as writer:
            if not folder.trials_file.read_text():
                writer.trial_started("00000", 0, 7, START)
            for line in lines:
                writer.journal([line]) if "kind" in line else writer.epochs([line])
        return read_run(folder.path)

    return written


def epochs(rows):
    return [(line["epoch"], line.get("stretch", 0)) for line in rows]


def test_an_entry_gets_its_time_unless_it_has_one(write):
    records = write(
        entry("verdict", 3, text="a"),
        entry("verdict", 3, text="b", time="2026-11-05T10:00:00+00:00"),
    )
    assert records.journal[0]["time"].endswith("+00:00")
    assert records.journal[1]["time"] == "2026-11-05T10:00:00+00:00"


def test_a_run_without_a_journal_has_no_file_for_one(folder, write):
    assert write(row(1)).journal == ()
    assert not folder.journal_file.exists()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [({"kind": "verdict"}, "the field 'trial'"), (entry("gossip", 1), "one of asked, applied")],
)
def test_the_writer_refuses_what_is_no_entry(folder, wrong, why):
    with RunWriter(folder) as writer, pytest.raises(ValueError, match=why):
        writer.journal([wrong])


def test_an_entry_told_again_after_an_interruption_counts_once(write):
    told = [entry("verdict", 3, id=f"00000-{number}", text="x") for number in (1, 2, 2, 1, 3)]
    assert [line["id"] for line in write(*told).journal] == ["00000-1", "00000-2", "00000-3"]


def test_an_abandoned_epoch_told_again_counts_once(write):
    records = write(row(1), row(2), row(2), rolled_back(0, 1))
    assert len(records.of("00000").abandoned_epochs) == 2


def test_a_line_without_what_every_entry_has_is_a_damaged_record(folder, write):
    folder.journal_file.write_text('{"kind": "day"}\n')
    with pytest.raises(RecordError, match=r"journal\.jsonl, line 1"):
        read_run(folder.path, exact=True)


def test_what_a_rollback_left_behind_is_abandoned_as_soon_as_it_is_applied(write):
    records = write(*(row(e) for e in range(1, 7)), rolled_back(1, stretch=1))
    assert epochs(records.of("00000").epochs) == [(1, 0), (2, 0), (3, 0)]
    assert epochs(records.of("00000").abandoned_epochs) == [(4, 0), (5, 0), (6, 0)]


def test_after_a_rollback_the_new_stretch_takes_the_abandoned_ones_place(write):
    rows = [row(e) for e in range(1, 7)]
    records = write(*rows, rolled_back(1, stretch=1), row(4, 1), row(5, 1))
    assert epochs(records.of("00000").epochs) == [(1, 0), (2, 0), (3, 0), (4, 1), (5, 1)]
    assert len(records.of("00000").abandoned_epochs) == 3


def test_a_rollback_past_a_rollback_abandons_both_stretches(write):
    first = [*(row(e) for e in range(1, 7)), rolled_back(1, 1), row(4, 1)]
    records = write(*first, rolled_back(0, 2), row(1, 2))
    assert epochs(records.of("00000").epochs) == [(1, 2)]
    assert len(records.of("00000").abandoned_epochs) == 7


def test_a_stretch_is_seen_by_its_first_row_where_the_journal_is_lost(write):
    records = write(row(1), row(2), row(3), row(2, 1))
    assert epochs(records.of("00000").epochs) == [(1, 0), (2, 1)]


def test_a_rollback_told_by_its_day_alone_goes_back_to_that_days_end(write):
    back = applied(6, "rollback", stretch=1, to_day=1)
    records = write(row(1), row(2), row(3), day(1), row(4), row(5), row(6), day(2), back)
    assert epochs(records.of("00000").epochs) == [(1, 0), (2, 0), (3, 0)]


def test_an_epoch_trained_again_after_an_interruption_counts_once(write):
    records = write(row(1), row(2, value=0.5), row(2, value=0.6))
    values = [line["metrics"]["val_accuracy"] for line in records.of("00000").epochs]
    assert values == [0.01, 0.6]
    assert records.of("00000").abandoned_epochs == ()


def test_the_best_of_a_trial_is_among_its_living_epochs(write):
    records = write(row(1), row(2, value=0.99), row(3, value=math.nan), row(2, 1), row(3, 1))
    best = records.of("00000").best
    assert (best.epoch, best.value) == (3, 0.03)


def test_days_are_abandoned_as_epochs_are(write):
    records = write(day(1), day(2), day(3), rolled_back(2, 1), day(3, 1))
    assert [(d["day"], d["stretch"]) for d in records.of("00000").days] == [(1, 0), (2, 0), (3, 1)]
    assert [d["day"] for d in records.of("00000").abandoned_days] == [3]


def test_two_days_within_one_epoch_are_two_days(write):
    twice = [entry("day", 1, day=number, metrics={}, hyperparameters=START) for number in (1, 2)]
    assert [d["day"] for d in write(*twice).of("00000").days] == [1, 2]


@pytest.fixture
def branched(folder, write):
    """The parent forks ``gentle`` at day 1, then is rolled back to before the fork."""
    write(*(row(e) for e in range(1, 7)), day(1), day(2))
    with RunWriter(folder) as writer:
        fork = {"run": None, "trial": "00000", "day": 1, "epoch": 3}
        writer.trial_started("gentle", 1, 7, {**START, "learning_rate": 0.03}, fork)
        made = applied(6, "branch", changes={"learning_rate": 0.03}, branch="gentle", to_day=1)
        writer.journal([made])
    branch = [row(4, trial="gentle"), row(5, trial="gentle")]
    return write(*branch, rolled_back(0, 1), row(1, 1), day(2, trial="gentle", learning_rate=0.03))


def test_a_branch_keeps_the_history_it_had_when_its_parent_forgets_it(branched):
    assert epochs(branched.of("gentle").epochs) == [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0)]
    assert epochs(branched.of("00000").epochs) == [(1, 1)]


def test_a_branchs_days_begin_with_its_parents(branched):
    assert [(d["trial"], d["day"]) for d in branched.of("gentle").days] == [
        ("00000", 1),
        ("gentle", 2),
    ]


def test_a_branch_is_judged_by_what_it_trained_itself(branched):
    best = branched.of("gentle").best
    assert (best.epoch, best.value) == (5, 0.05)
    assert epochs(branched.of("gentle").own_epochs) == [(4, 0), (5, 0)]


def test_a_trial_remembers_where_it_came_from(branched):
    assert branched.trial("gentle").origin["day"] == 1
    assert branched.trial("00000").origin is None


def test_a_branchs_changes_are_not_in_force_for_its_parent(branched):
    assert branched.of("00000").current_hyperparameters["learning_rate"] == 0.1
    assert branched.of("gentle").current_hyperparameters["learning_rate"] == 0.03


def test_what_is_in_force_follows_the_changes_applied(write):
    records = write(
        applied(1, changes={"learning_rate": 0.05}), applied(2, changes={"dropout": 0.2})
    )
    assert records.of("00000").current_hyperparameters == {
        "learning_rate": 0.05,
        "momentum": 0.9,
        "dropout": 0.2,
    }


def test_a_rollback_brings_back_what_was_in_force_then(write):
    records = write(
        day(1), applied(3, changes={"learning_rate": 1.0}), day(2, learning_rate=1.0),
        rolled_back(1, 1, changes={"momentum": 0.5}),
    )  # fmt: skip
    assert records.of("00000").current_hyperparameters == {"learning_rate": 0.1, "momentum": 0.5}


def test_a_rollback_to_day_0_brings_back_the_start(write):
    records = write(day(1, learning_rate=1.0), rolled_back(0, 1))
    assert records.of("00000").current_hyperparameters == START


def test_nothing_is_in_force_for_an_unknown_trial(write):
    assert write().of("gentle").current_hyperparameters == {}


def test_a_request_is_unanswered_until_it_is_applied_or_refused(folder, write):
    asked = [write_request(folder, Request("pause", "00000")) for _ in range(4)]
    seen = entry("asked", 1, request=asked[0].id, action="pause", arguments={})
    refused = entry("refused", 1, request=asked[2].id, reason="no")
    records = write(seen, applied(1, "pause", request=asked[1].id), refused)
    assert records.of("00000").unanswered == (asked[0], asked[3])
