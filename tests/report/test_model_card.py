"""A model card says what is known, that the rest is not given, and nothing that a user typed as markup."""

from __future__ import annotations

import dataclasses

import pytest

from orchestrator.errors import RecordError
from orchestrator.report import model_card
from orchestrator.report.html.sections import sections_of
from orchestrator.report.model_card import card_of
from orchestrator.report.run_summary import summarize
from tests.report.made_up import made_up_run

DATA = {
    "source": "./birds.csv", "kind": "csv", "fingerprint": "f" * 64, "classes": ["hen", "owl"],
    "rows": {"train": 60, "validation": 20, "test": 100}, "scaling": {"how": "standard"},
    "table": {"label": "bird", "columns": [{"name": "wing", "kind": "number", "fill": None}], "notes": []},
}  # fmt: skip
PER_CLASS = {"test": {"classes": [{"class": "hen", "recall": 0.5, "support": 50}]}}
CALIBRATION = {
    "test": {"ece": 0.1, "by_chance": {"at_most": 0.2}, "calibrated": {"ece": 0.05}},
    "temperature": 0.8,
}


def examined(**changes):
    manifest = {
        "data": DATA,
        "versions": {"keras": "3.15"},
        "task": {"baseline": {"accuracy": 0.5}},
    }
    run = summarize(dataclasses.replace(made_up_run(4), manifest=manifest))
    details = {"per_class": PER_CLASS, "calibration": CALIBRATION}
    winner = {"trial": run.best.trial, "test": {"accuracy": 0.9}}
    return dataclasses.replace(run, **{"details": details, "winner": winner} | changes)


def said(run, title):
    return next(part for part in card_of(run) if part.title == title)


def test_every_part_of_what_is_known_is_on_the_card():
    run = examined()
    titles = [part.title for part in card_of(run)]
    assert titles == [
        "Model", "Data", "Search", "Scores", "Results by class", "Calibration", "Limits", "Use", "To repeat it",
    ]  # fmt: skip
    assert "Fingerprint (SHA-256 of its rows): " + "f" * 64 + "." in said(run, "Data").says
    assert "temperature 0.8" in said(run, "Calibration").says[1]
    assert "Gaps are refused in wing" in " ".join(said(run, "Limits").says)


def test_a_test_accuracy_has_wilsons_interval():
    # 90 of 100: R's binom::binom.confint(90, 100, methods = "wilson")
    row = next(row for row in said(examined(), "Scores").rows if row[1] == "test")
    assert row[3:] == pytest.approx((0.8256343, 0.9447708), abs=1e-6)


def test_the_licence_is_the_flags_else_the_experiments_else_not_given():
    run = examined()
    assert "Licence: not given." in said(run, "Model").says
    licensed = dataclasses.replace(run, experiment={**run.experiment, "licence": "MIT"})
    assert "Licence: MIT." in said(licensed, "Model").says
    assert "Licence: CC0." in card_of(licensed, "CC0")[0].says


def test_what_users_typed_is_text_in_markdown():
    hostile = dataclasses.replace(
        made_up_run(3),
        manifest={"data": {**DATA, "source": "<b>x</b>\n# head [a](b)", "classes": ["`|`", "*"]}},
    )
    card = model_card(hostile, "**mine**")
    assert "\\<b\\>x\\</b\\>" in card
    assert "\n# head" not in card
    assert "Licence: \\*\\*mine\\*\\*." in card


def test_details_that_were_edited_cost_their_parts_alone():
    titles = [
        part.title for part in card_of(examined(details={"per_class": 7, "calibration": "no"}))
    ]
    assert "Scores" in titles
    assert "Calibration" not in titles


def test_a_run_of_functions_says_where_its_model_is():
    run = examined()
    functions = dataclasses.replace(
        run, experiment={**run.experiment, "trial": "./train.py:train"}, manifest={}
    )
    assert "best/checkpoint" in said(functions, "Use").says[0]
    assert said(functions, "Use").code == ()
    assert said(functions, "Data").says[0].startswith("None that the run knows")


def test_a_run_without_a_score_has_no_card():
    with pytest.raises(
        RecordError, match="expected a run with a trial whose val_accuracy is finite"
    ):
        model_card(made_up_run(0))


def test_the_report_has_the_card_as_a_part():
    (card,) = [section for section in sections_of(examined()) if section.id == "card"]
    assert ("Model", "Licence: not given.") in card.tables["Model card"].rows
