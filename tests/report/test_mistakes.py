"""What a page shows of a winner's rows and layers, and of what a better score costs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from orchestrator.records import RunFolder
from orchestrator.report.html import report_html
from orchestrator.report.html.charts import course_charts, winner_tables
from orchestrator.report.html.sections import sections_of
from orchestrator.report.pareto import tradeoffs
from orchestrator.report.run_summary import summarize
from tests.report.made_up import made_up_run
from tests.report.test_report_html import LIBRARY


def of_class(row, **more):
    told = {"row": row, "truth": "cat", "answer": "<b>dog</b>", "of_answer": 0.9, "of_truth": 0.1}
    return told | more


MISTAKEN = {"trial": "00000", "part": "validation", "kind": "classes", "rows": 40, "wrong": 7}
PNG = "data:image/png;base64,iVBORw0KGgo="


def with_examples(*examples):
    return replace(summarize(made_up_run(12)), examples=MISTAKEN | {"examples": list(examples)})


def test_rows_that_are_pictures_are_shown_with_what_they_were_taken_for():
    html = report_html([with_examples(of_class(3, picture=PNG), of_class(4, picture=PNG))])
    assert html.count(f'<img src="{PNG}" alt="">cat, taken for &lt;b&gt;dog&lt;/b&gt; (90%)') == 2
    assert "7 of 40 validation rows are wrong, these 2 with the least probability" in html
    assert "orchestrator report made-up --no-examples" in html


def test_rows_of_a_table_or_of_text_are_a_table():
    [part] = [
        e
        for e in sections_of(with_examples(of_class(3, values={"age": "7"}), of_class(5, text="x")))
        if e.id == "mistakes"
    ]
    table = part.tables["What it gets most wrong"]
    assert list(table.head) == [
        "row",
        "truth",
        "answer",
        "p(answer)",
        "p(truth)",
        "age",
        "what it is",
    ]
    assert table.rows == [
        [3, "cat", "<b>dog</b>", 0.9, 0.1, "7", None],
        [5, "cat", "<b>dog</b>", 0.9, 0.1, None, "x"],
    ]


OTHERS = [
    "javascript:alert(1)",
    "https://evil.example/x.png",
    "data:image/svg+xml,<svg/>",
    f'{PNG}" a="',
    7,
]


@pytest.mark.parametrize("picture", OTHERS)
def test_no_other_address_than_that_of_a_png_is_shown(picture):
    run = with_examples(of_class(3, picture=picture))
    assert "mistakes" not in [each.id for each in sections_of(run)]
    html = report_html([with_examples(of_class(3, picture=picture), of_class(4, picture=PNG))])
    html = html.replace(LIBRARY, "")
    assert html.count("<img") == html.count(f'<img src="{PNG}"') == 1


@pytest.mark.parametrize("examples", [[], "x", 5, [1], [{}], None])
def test_examples_that_were_edited_by_hand_are_left_out(examples):
    run = replace(summarize(made_up_run(12)), examples=MISTAKEN | {"examples": examples})
    assert "mistakes" not in [each.id for each in sections_of(run)]


def test_the_rows_of_another_winner_are_none_of_this_ones(tmp_path):
    best = tmp_path / "best"
    best.mkdir()
    run = replace(made_up_run(3), folder=RunFolder(tmp_path))
    told = {"examples": [of_class(3, text="theirs")]}
    won = {"event": "winner", "time": run.events[0]["time"], "trial": "00001", "epoch": 1}
    run = replace(run, events=(*run.events, won))
    for trial, found in (("00001", True), ("00002", False)):
        (best / "examples.json").write_text(json.dumps(MISTAKEN | told | {"trial": trial}))
        assert bool(summarize(run).examples) is found


def test_a_model_is_told_layer_by_layer():
    layer = {"layer": "z", "kind": "Dense", "output": "3", "parameters": 15, "trainable": 15}
    model = {"layers": [layer], "left_out": 2, "parameters": 1500, "trainable": 15}
    [(name, table)] = winner_tables({"model": model}).items()
    assert name == "The model: 3 layers, 1,500 parameters, 15 of them trained"
    assert table.rows == [["z", "Dense", "3", 15, 15]]


@pytest.mark.parametrize("cost", ["seconds of training", "val_loss"])
def test_who_is_on_the_front_is_beaten_by_none_and_the_others_by_some(cost):
    [found] = [each for each in tradeoffs(summarize(made_up_run(40))) if each.cost == cost]
    assert len(found.offers) == 40 and 0 < len(found.front) < 40
    for offer in found.offers:
        as_good = [o for o in found.offers if o.cost <= offer.cost and o.score >= offer.score]
        better = [o for o in as_good if (o.cost, o.score) != (offer.cost, offer.score)]
        assert not better if offer.is_best else any(o.is_best for o in as_good)


def test_the_front_is_drawn_against_each_cost():
    [chart] = [each for each in course_charts(summarize(made_up_run(40))) if each.id == "pareto"]
    assert list(chart.switches) == ["Seconds of training", "val_loss"]
    trials, front = chart.option["series"]
    assert len(trials["data"]) == 40
    assert {each["name"] for each in front["data"]} <= {row[1] for row in chart.table.rows}


def test_trials_of_equal_cost_are_no_tradeoff():
    assert tradeoffs(summarize(made_up_run(1))) == ()
