from __future__ import annotations

import pytest

from orchestrator.records import Request, RunRecords, read_run, write_request
from orchestrator.report import journal_lines, journal_table
from orchestrator.report.journal_text import JournalFormatter
from tests.fortnight import ADA, MAIN, make_folder, write_fortnight


@pytest.fixture
def records(tmp_path) -> RunRecords:
    return write_fortnight(make_folder(tmp_path))


def texts(records, trial=MAIN):
    return list(journal_table(records, trial)["text"])


def test_asked_and_applied_are_two_rows(records):
    table = journal_table(records, MAIN)
    of_request = table[table["request"] == "r1"]
    assert list(of_request["kind"]) == ["asked", "applied", "effect"]
    assert list(of_request["text"])[:2] == [
        'ada@node3 asked: set learning_rate 0.9: "it is slow"',
        "learning_rate 0.1 -> 0.9 (live) (asked by ada@node3)",
    ]


def test_an_effect_is_told_with_what_the_trend_would_have_given(records):
    said = "effect of set learning_rate 0.9 on day 2: val_accuracy 0.6 -> 0.3"
    assert f"{said} (the trend would have given 0.65)" in texts(records)


def test_an_effect_on_the_first_day_is_told_without_a_comparison():
    first = {"kind": "effect", "trial": MAIN, "day": 1, "epoch": 2, "by": "schedule"}
    first |= {"of_day": 1, "metric": "val_accuracy", "before": None, "after": 0.7, "expected": None}
    said = "effect of the schedule's change on day 1: val_accuracy 0.7"
    told = JournalFormatter("val_accuracy").format_entry(first)
    assert told == f"{said}, with no day before it to compare with"


def advice(done, **facts):
    said = {"kind": "advice", "trial": MAIN, "day": 5, "epoch": 11, "rule": "divergence"}
    said |= {"suggests": "Diverged: back to day 5 with learning rate 0.25.", "evidence": {}}
    changes = {"learning_rate": [0.5, 0.25]}
    return said | {"changes": changes} | ({} if done is None else {"done": done}) | facts


def test_advice_reads_as_advice_and_never_as_a_change():
    said = "Diverged: back to day 5 with learning rate 0.25"
    format_entry = JournalFormatter("val_accuracy").format_entry
    assert (
        format_entry(advice(False)) == f"sitter, divergence, advises: {said}; nothing was changed"
    )
    assert format_entry(advice(True)) == f"sitter, divergence, acts: {said}"
    assert format_entry(advice(None)) == f"sitter, divergence, advises: {said}"
    assert not any("->" in format_entry(advice(done)) for done in (True, False, None))


def test_a_learning_rate_test_that_found_nothing_advises_nothing():
    found = advice(False, rule="learning_rate_test", changes={}, suggests="found no rate")
    assert (
        JournalFormatter("val_accuracy").format_entry(found) == "learning-rate test: found no rate"
    )


def test_a_value_that_is_none_is_no_empty_place():
    back = {"kind": "applied", "trial": MAIN, "day": 1, "epoch": 2, "action": "rollback"}
    back |= {"to_day": 1, "to_epoch": 2, "by": ADA, "changes": {"weight_decay": [1e-4, None]}}
    told = JournalFormatter("val_accuracy").format_entry(back)
    assert told.startswith("rolled back to day 1, epoch 2: weight_decay 0.0001 -> none")
    asked = {"kind": "asked", "trial": MAIN, "day": 1, "epoch": 2, "action": "set", "who": ADA}
    asked |= {"arguments": {"changes": {"weight_decay": None}}}
    assert (
        JournalFormatter("val_accuracy").format_entry(asked)
        == f"{ADA} asked: set weight_decay none"
    )


def test_a_refusal_is_told_with_its_reason(records):
    assert "refused: set units 5, asked by ada@node3: no" in texts(records)


def test_a_day_is_told_with_its_change_since_yesterday(records):
    days = [text for text in texts(records) if "ended" in text]
    assert days[0] == "day 1 ended: val_accuracy 0.6, val_loss 0.4, 1 s, checkpoint 2 KB"
    assert "val_accuracy 0.8 (+0.2000)" in days[2]


def test_a_rollback_and_a_branch_are_told_with_their_place(records):
    told = texts(records)
    assert any("rolled back to day 1, epoch 2: learning_rate 0.9 -> 0.1" in t for t in told)
    assert any("branched off gentle at day 2: learning_rate 0.1 -> 0.03" in t for t in told)


def test_a_request_that_the_model_has_not_seen_stands_at_the_end_as_waiting(records):
    write_request(records.folder, Request("pause", MAIN, who=ADA, at_day=5))
    assert texts(read_run(records.folder.path))[-1] == "ada@node3 asked: pause at day 5 (waiting)"


def test_the_journal_of_a_run_without_one_is_empty(tmp_path):
    records = read_run(make_folder(tmp_path, "quiet").path)
    assert len(journal_table(records)) == 0
    assert journal_lines(records) == []


@pytest.mark.parametrize("width", [80, 60])
def test_the_lines_fit_their_width(records, width):
    lines = journal_lines(records, width=width)
    assert max(map(len, lines)) <= width
    assert lines[0].startswith("2026-03-01")


def test_lines_of_several_trials_say_whose_they_are(records):
    assert any("[gentle] day 3 ended" in line for line in journal_lines(records, width=120))
    assert not any("[" in line for line in journal_lines(records, MAIN, 120))


def test_no_text_of_a_person_can_move_a_terminals_cursor(records):
    write_request(records.folder, Request("note", MAIN, {"text": "\x1b[2J\n"}, who="eve\x1b[2J@h"))
    assert "\x1b" not in "".join(journal_lines(read_run(records.folder.path)))
