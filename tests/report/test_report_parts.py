"""What a page says of a babysat model and of a winner, each figure from the records alone."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from orchestrator.report.comparison import summarize_comparison
from orchestrator.report.html import report_html
from orchestrator.report.html.charts import panda_charts, winner_charts, winner_tables
from orchestrator.report.html.sections import comparison_sections, sections_of
from orchestrator.report.panda_summary import Effect
from orchestrator.report.run_summary import summarize
from tests.fortnight import make_folder, write_fortnight
from tests.report.made_up import made_up_run


@pytest.fixture(scope="module")
def panda(tmp_path_factory):
    return summarize(write_fortnight(make_folder(tmp_path_factory.mktemp("runs"), "babysat")))


@pytest.fixture(scope="module")
def charts(panda):
    return {chart.id: chart for chart in panda_charts(panda.panda, panda.metric)}


def test_a_change_has_who_why_and_its_measured_effect(panda):
    change = panda.panda.changes[0]
    assert (change.epoch, change.what) == (2, "learning_rate 0.1 -> 0.9 (live)")
    assert (change.who, change.why) == ("ada@node3", "it is slow")
    assert change.effect == Effect(before=0.6, after=0.3, expected=0.65)
    assert [each.effect for each in panda.panda.changes[1:]] == [None, None]


def test_what_was_rolled_back_is_a_line_of_its_own_from_where_it_left(charts):
    lines = {each["name"]: each["data"] for each in charts["panda"].option["series"]}
    assert lines["00000"] == [[1, 0.5], [2, 0.6], [3, 0.7], [4, 0.8], [5, 0.85]]
    assert lines["rolled back"] == [[2, 0.6], [3, 0.4], [4, 0.3]]
    assert lines["gentle"] == [[4, 0.8], [5, 0.82], [6, 0.9]], "from its fork on"


def test_changes_after_one_epoch_share_a_numbered_pin(charts):
    pins = charts["panda"].option["series"][-1]["data"]
    assert [pin["label"]["formatter"] for pin in pins] == ["1, 2", "3"]
    assert [row[0] for row in charts["panda"].table.rows] == [1, 2, 3]


def test_branches_are_a_tree(charts):
    [root] = charts["tree"].option["series"][0]["data"]
    assert root["name"] == "00000: 0.85"
    assert [child["name"] for child in root["children"]] == ["gentle, day 2: 0.9"]


def test_a_hyperparameter_that_was_changed_is_drawn_by_day(charts):
    series = {e["name"]: e["data"] for e in charts["force-0"].option["series"]}
    assert series == {"00000": [[0, 0.1], [2, 0.1], [4, 0.1]], "gentle": [[4, 0.03], [6, 0.03]]}
    steps = {each["step"] for each in charts["force-0"].option["series"]}
    assert steps == {"start"}, "a value is in force since the day before ended"


def test_a_pandas_page_has_its_days_the_sitters_findings_and_the_journal(panda):
    parts = {section.id: section for section in sections_of(panda)}
    assert list(parts) == ["winner", "course", "days", "sitter", "journal", "trials", "manifest"]
    states = [row[1] for row in parts["days"].tables["Days of 00000"].rows]
    assert states == [None, "abandoned", None, "today"]
    assert parts["sitter"].tables["Findings"].rows[0][3:5] == ["overfitting", "add dropout"]
    assert "Grey and dotted is what was rolled back." in report_html([panda])


CLASS = {
    "precision": 1.0,
    "recall": 0.5,
    "recall_from": 0.1,
    "recall_to": 0.9,
    "f1": 0.6,
    "support": 2.0,
}
PART = {
    "classes": [{"class": "cat"} | CLASS, {"class": "dog"} | CLASS],
    "confusion": [[3.0, 1.0], [0.0, 6.0]],
}
BIN = {"from": 0.5, "to": 0.6, "rows": 4, "confidence": 0.55, "frequency": 0.5}
RELIABLE = {"ece": 0.1, "by_chance": {"mean": 0.05, "at_most": 0.2}, "reliability": [BIN]}
DETAILS = {
    "per_class": {"validation": PART, "test": PART},
    "calibration": {"probability_of": "the predicted class", "test": RELIABLE},
}


def test_a_confusion_matrix_counts_and_shares():
    chart = winner_charts(DETAILS)[0]
    assert chart.option["series"][0]["data"] == [[0, 0, 3, 0.75], [1, 0, 1, 0.25], [1, 1, 6, 1.0]]
    assert "1 of 10 test rows" in chart.says
    assert chart.table.rows == [["cat", 3.0, 1.0], ["dog", 0.0, 6.0]]


def test_calibration_says_how_far_off_it_is_and_how_far_by_chance():
    chart = winner_charts(DETAILS)[1]
    assert "Expected error 0.1, by chance alone up to 0.2." in chart.says
    assert chart.option["series"][1]["data"][0]["value"] == [0.55, 0.5, 4]


EDITED = [
    {"per_class": []},
    {"per_class": "x"},
    {"per_class": {"test": {}}},
    {"per_class": {"test": {"classes": 5}}},
    {"calibration": {"test": {"reliability": 1}}},
]


@pytest.mark.parametrize("details", EDITED, ids=str)
def test_details_that_were_edited_by_hand_are_left_out(details):
    assert winner_charts(details) == []
    assert winner_tables(details) == {}


def test_a_summary_is_plain_json():
    told = json.loads(json.dumps(summarize(made_up_run(12)).to_plain()))
    assert [each["scale"] for each in told["axes"]] == ["log", "one_minus", "choice", "choice"]
    assert told["progress"][-1]["value"] == max(t["value"] for t in told["trials"])


def test_the_best_so_far_leaves_out_pauses_between_sittings():
    run = made_up_run(12, epochs=2)
    first, last = run.events
    pause = {"event": "run_interrupted", "time": "2026-11-29T00:00:03.000+00:00"}
    again = {"event": "run_started", "time": "2026-11-29T00:00:06.000+00:00"}
    last = last | {"time": "2026-11-29T00:00:12.000+00:00"}
    paused = summarize(replace(run, events=(first, pause, again, last)))
    assert paused.progress[-1].seconds == 8.0, (
        "the last epoch is at second 11, of which 3 were none"
    )


@pytest.fixture(scope="module")
def compared():
    runs = [made_up_run(12, epochs=2), made_up_run(12, epochs=9)]
    return [summarize(each) for each in runs], summarize_comparison(runs)


def test_several_runs_have_their_best_curves_over_each_other_and_what_differs(compared):
    runs, found = compared
    parts = {section.id: section for section in comparison_sections(runs, found)}
    assert list(parts) == ["comparison", "winner", "differences"]
    curves = parts["comparison"].charts[0].option["series"]
    assert [len(each["data"]) for each in curves] == [len(run.best.curve.epochs) for run in runs]
    assert ["epochs", 2, 9] in parts["differences"].tables["What differs"].rows
    assert not [row for row in parts["differences"].tables["What differs"].rows if row[1] == row[2]]


def test_a_margin_is_drawn_with_two_standard_errors_either_way(compared):
    runs, found = compared
    rows = tuple(row | {"noise": 0.01} if row["behind"] else row for row in found.rows)
    parts = comparison_sections(runs, replace(found, rows=rows))
    [margin] = [chart for chart in parts[0].charts if chart.id == "margins"]
    behind = next(row["behind"] for row in rows if row["behind"])
    assert margin.option["series"][0]["data"] == [
        pytest.approx([behind - 0.02, behind, behind, behind, behind + 0.02])
    ]


def test_the_page_of_several_runs_is_whole(compared):
    html = report_html(*compared)
    assert html.count('class="winner"') == 2
    assert "<title>made-up · made-up</title>" in html
