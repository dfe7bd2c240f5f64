"""What a winner's record says beyond its scores, for people and for machines."""

from __future__ import annotations

import itertools
import json

import pytest

from orchestrator.errors import RecordError
from orchestrator.records import RunFolder, RunWriter, read_run
from orchestrator.report import detail_lines, details, winner_lines

FAILING = {
    "class": "none of the above", "recall": 0.2, "recall_from": 0.08, "recall_to": 0.39, "support": 25.0,
    "others": 0.94, "never_predicted": False, "taken_for": "healthy", "share": 0.9, "largest": True,
}  # fmt: skip
CALIBRATION = {
    "temperature": 1.62, "temperature_log_error": 0.05, "ece": {"validation": 0.081}, "ece_by_chance": 0.043,
    "ece_calibrated": 0.022,
}  # fmt: skip
BATCH_NORM = {
    "metric": "val_accuracy", "moving_averages": 0.9, "batch_statistics": 0.95, "gap": 0.05, "batch_size": 32,
}  # fmt: skip


@pytest.fixture
def judged(tmp_path, write_experiment, write_trial):
    """`judged(details=None, **facts)`: a run of two trials whose winner has these facts."""

    number = itertools.count()

    def make(whole=None, **facts):
        folder = RunFolder.create(tmp_path, f"one{next(number)}")
        write_experiment(folder)
        folder.write_manifest({"data": {"rows": {"validation": 360}}})
        with RunWriter(folder) as writer:
            write_trial(writer, 0, [0.5, 0.9])
            write_trial(writer, 1, [0.5, 0.89])
            same = {"trial": "00000", "epoch": 2, "validation": {"accuracy": 0.9}}
            writer.event("winner", metric="val_accuracy", **same, **facts)
        if whole is not None:
            folder.best.mkdir(exist_ok=True)
            (folder.best / "details.json").write_text(json.dumps(whole))
        return read_run(folder.path)

    return make


def said(records):
    lines = winner_lines(records)
    assert max(len(line) for line in lines if "model.keras" not in line) <= 80
    return " ".join(line.strip() for line in lines)


def test_the_corrected_score_stands_beside_the_raw_one(judged):
    text = said(judged())
    assert "val_accuracy: 0.9 corrected: 0.8" in text
    assert "for having been picked from 2 trials and their 4 epochs" in text


def test_what_fails_is_named_and_where_it_goes(judged):
    text = said(judged(failing=[FAILING]))
    assert (
        "fails: class none of the above: recall 0.2 (0.08 to 0.39) on 25 validation rows, the others' 0.94;"
        " 90% of those missed are taken for healthy, the largest class" in text
    )
    never = FAILING | {"never_predicted": True, "recall": 0.0}
    assert "class none of the above is never predicted (25 validation rows)" in said(
        judged(failing=[never])
    )


def test_of_many_failing_classes_a_few_are_named(judged):
    text = said(judged(failing=[FAILING | {"class": f"c{at}"} for at in range(5)]))
    assert "class c2:" in text and "class c3:" not in text
    assert "fails: 2 more classes" in text


def test_calibration_says_what_chance_gives_and_what_a_temperature_does(judged):
    text = said(judged(calibration=CALIBRATION))
    assert "calibration error: 0.081 (by chance up to 0.043); 0.022 with temperature 1.62" in text
    unneeded = CALIBRATION | {"temperature": 1.05}
    assert "temperature" not in said(judged(calibration=unneeded))


def test_a_gap_of_batch_norm_is_said_where_it_is_more_than_the_noise(judged):
    text = said(judged(batch_norm=BATCH_NORM, noise={"val_accuracy": 0.01}))
    assert "0.9 with moving averages, 0.95 with the statistics of batches of 32" in text
    assert "moving averages" not in said(judged(batch_norm=BATCH_NORM, noise={"val_accuracy": 0.1}))


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"failing": "x", "calibration": {"ece": 3}, "batch_norm": {"gap": "y"}},
        {"failing": [{"class": "a"}], "calibration": {"ece": {"validation": None}}},
    ],
)
def test_a_record_without_them_or_edited_by_hand_still_reads(judged, facts):
    assert "Winner: trial 00000" in said(judged(**facts))
    assert detail_lines(judged(**facts))[0] == "Winner: trial 00000, epoch 2"


WHOLE = {
    "trial": "00000",
    "per_class": {
        "validation": {
            "classes": [
                {"class": "a", "precision": 1.0, "recall": 0.5, "f1": 0.667, "support": 2.0},
                {"class": "b", "precision": None, "recall": None, "f1": None, "support": 0.0},
            ],
            "confusion": [[1.0, 1.0], [0.0, 0.0]],
        }
    },
    "batch_norm": {"layers": [{"layer": "z1_norm", "units": 8, "mean_off": 0.1}]},
}


def test_details_have_the_classes_the_confusion_and_the_layers(judged):
    lines = detail_lines(judged(WHOLE))
    text = "\n".join(lines)
    assert "The same 360 validation rows chose each trial's best epoch" in text
    assert "Confusion, validation rows" in lines
    assert any(line.split() == ["a", "1", "0.5", "0.667", "2"] for line in lines)
    assert any(line.split() == ["b", "0"] for line in lines)  # what is not defined is empty
    assert any(line.startswith("z1_norm") for line in lines)


def test_details_for_machines_are_json_with_the_corrected_score(judged):
    found = json.loads(json.dumps(details(judged(WHOLE))))
    assert found["per_class"] == WHOLE["per_class"]
    assert found["corrected"]["raw"] == 0.9 > found["corrected"]["value"]


@pytest.mark.parametrize(
    "whole", [{"trial": "00009"}, [1], {"per_class": {"validation": {"confusion": [[1]]}}}]
)
def test_details_that_are_not_this_winners_are_refused(judged, whole):
    records = judged(whole)
    with pytest.raises(RecordError, match=r"details\.json: expected"):
        detail_lines(records)
