"""A run with known configurations: resumed and extended as any other, and one that has tried all there is."""

from __future__ import annotations

import pytest

from orchestrator.errors import ExperimentFileError
from orchestrator.experiment import extend, preview, resume, run
from orchestrator.experiment.config_drift import changed_since

TRAIN = "def train(hp, report):\n    report(1, loss=float(hp['units']))\n"

INTERRUPTED = """
import os, signal

def train(hp, report):
    if hp["units"] == 2 and not os.path.exists("again"):
        open("again", "w").close()
        os.kill(os.getpid(), signal.SIGINT)
    report(1, loss=1.0)
"""


@pytest.fixture
def asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.py").write_text(TRAIN)

    def content(**caviar):
        return {
            "name": "one",
            "trial": "./t.py:train",
            "metric": "loss",
            "mode": "min",
            "epochs": 1,
            "search_space": {"units": "integer(1, 6)", "rate": "choice([0.5])"},
            "caviar": {"num_samples": 4, "scheduler": "none", **caviar},
        }

    return content


def units(ended):
    return [trial.hyperparameters["units"] for trial in ended.records.trials]


def inline(content):
    return run(content, progress=False, executor="inline")


def test_a_run_begins_with_its_points_and_is_extended_by_draws_that_repeat_none(asked):
    content = asked(points=[{"units": 5}, {"units": 2}])
    expected = [each["units"] for each in preview(content).draws(6)]
    assert expected[:2] == [5, 2]
    assert units(inline(content)) == expected[:4]
    longer = extend("runs/one", num_samples="+4", progress=False, executor="inline")
    assert units(longer) == expected
    assert longer.records.standing.reason == "all 6 combinations tried"
    with pytest.raises(ExperimentFileError, match="nothing to train: all 6 combinations tried"):
        extend("runs/one", num_samples="+4", progress=False, executor="inline")


def test_the_record_names_points_that_came_from_a_file_which_is_needed_no_more(asked, tmp_path):
    (tmp_path / "p.yaml").write_text("- units: 3\n- units: 1\n- units: 6\n")
    content = asked(points="./p.yaml")
    assert changed_since(content) == ()
    first = inline(content)
    assert changed_since(content) == ()
    assert [dict(each) for each in first.records.experiment["caviar"]["points"]] == [
        {"units": 3},
        {"units": 1},
        {"units": 6},
    ]
    (tmp_path / "p.yaml").unlink()
    assert units(extend("runs/one", num_samples=6, progress=False, executor="inline"))[:3] == [
        3,
        1,
        6,
    ]


def test_a_run_that_was_cut_off_goes_on_with_the_points_it_has_left(asked):
    content = asked(points=[{"units": 5}, {"units": 2}, {"units": 4}])
    expected = [each["units"] for each in preview(content).draws(4)]
    assert units(inline({**content, "limits": {"max_trials": 1}})) == expected[:1]
    records = inline({**content, "name": "two"}).records
    assert [each.hyperparameters["units"] for each in records.trials] == expected
    longer = extend(
        "runs/one",
        ["limits.max_trials=9", "caviar.num_samples=5"],
        progress=False,
        executor="inline",
    )
    assert units(longer)[:4] == expected


def test_other_points_come_too_late_for_a_run_that_has_begun(asked):
    inline(asked(points=[{"units": 5}]))
    with pytest.raises(ExperimentFileError, match="expected the points that the run began with"):
        extend("runs/one", ["caviar.points=[{units: 1}]"], num_samples=6, progress=False)


def test_points_that_no_longer_fit_can_be_left_out_of_an_extension(asked):
    inline(asked(points=[{"units": 5}]))
    other = ["search_space.units=choice([1, 2, 3, 40])"]
    with pytest.raises(
        ExperimentFileError, match=r"caviar.points.0.units: expected a value of choice"
    ):
        extend("runs/one", other, num_samples=6, progress=False)
    longer = extend(
        "runs/one", [*other, "caviar.points=none"], num_samples=6, progress=False, executor="inline"
    )
    assert units(longer)[0] == 5


def test_a_run_that_was_interrupted_resumes_with_the_points_it_has_left(asked, tmp_path):
    (tmp_path / "t.py").write_text(INTERRUPTED)
    content = asked(points=[{"units": 5}, {"units": 2}, {"units": 4}], num_samples=6)
    expected = [each["units"] for each in preview(content).draws(6)]
    cut_off = inline(content)
    assert cut_off.status == "interrupted"
    assert units(cut_off) == expected[:2]
    assert units(resume("runs/one", progress=False, executor="inline")) == expected
