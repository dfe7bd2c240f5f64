"""A run of function trials, whose best configuration is wherever a file says that it is today."""

from __future__ import annotations

import contextlib
import json
import shutil

import pytest

import orchestrator
from orchestrator.errors import (
    DataError,
    ExperimentFileError,
    OrchestratorError,
    RecordError,
    RunExistsError,
)
from orchestrator.experiment.run_lease import driving
from orchestrator.records import RunFolder, read_run

TRAIN = """
import math
from pathlib import Path

def train(hp, report):
    best = float((Path(__file__).parent / "today.txt").read_text())
    report(1, loss=1 + (math.log10(hp["learning_rate"]) - best) ** 2)
"""
EXPERIMENT = {
    "name": "found", "trial": "./train.py:train", "metric": "loss", "mode": "min", "epochs": 1,
    "search_space": {"learning_rate": "loguniform(1e-8, 1)"},
    "caviar": {"num_samples": 12, "scheduler": "none"},
}  # fmt: skip


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A folder with the function and its finished run, which was moved: a copy's code is the one beside it."""
    place = tmp_path_factory.mktemp("found")
    (place / "train.py").write_text(TRAIN)
    (place / "today.txt").write_text("-1")
    with contextlib.chdir(place):
        orchestrator.run(EXPERIMENT, executor="inline", progress=False)
    return place.rename(f"{place}-moved")


@pytest.fixture
def place(begun, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(begun, tmp_path, dirs_exist_ok=True)


def looked_at_again(**more):
    return orchestrator.reevaluate("found", executor="inline", progress=False, **more)


def test_what_is_still_best_is_kept(place):
    done = looked_at_again()
    assert (done.decision, done.exit_code) == ("keep", 0)
    assert done.record["drift"] == []


def test_a_better_neighbour_asks_for_a_narrow_search_which_acting_starts(place):
    (place / "today.txt").write_text("-1.8")
    done = looked_at_again(act=True)
    assert (done.decision, done.exit_code) == ("retune", 10)
    narrow = orchestrator.open_run("found-retune-1")
    assert narrow.status == "finished"
    low, high = narrow.records.space.domains["learning_rate"].ends
    assert high / low < 300
    assert low < 10**-1.8 < high
    assert (place / "runs/found/reevaluations/001/next.yaml").is_file()


def test_a_better_configuration_far_away_asks_for_another_search_which_is_not_started(place):
    (place / "today.txt").write_text("-4.5")
    done = looked_at_again(act=True)
    assert (done.decision, done.exit_code) == ("search again", 11)
    assert orchestrator.Run(RunFolder.open("found")).status == "finished"
    with pytest.raises(OrchestratorError):
        orchestrator.open_run("found-again-1")


def test_all_configurations_train_with_the_same_fresh_seeds(place):
    looked_at_again(seeds=3)
    folder = place / "runs/found/reevaluations/001"
    ours, theirs = (read_run(folder / name) for name in ("incumbent", "challengers"))
    seeds = {trial.seed for trial in ours.trials}
    assert len(seeds) == 3
    assert {trial.seed for trial in theirs.trials} <= seeds
    assert seeds.isdisjoint(trial.seed for trial in read_run("found").trials)


def test_each_one_is_a_line_of_the_runs_events_and_the_run_stays_as_it_was(place):
    table = orchestrator.open_run("found").table()
    first, second = looked_at_again(), looked_at_again()
    records = read_run("found")
    assert [e["number"] for e in records.events if e["event"] == "reevaluated"] == [1, 2]
    assert records.status == "finished"
    assert orchestrator.open_run("found").table().equals(table)
    assert (
        first.record["configurations"][0]["scores"] == second.record["configurations"][0]["scores"]
    )
    assert json.loads(json.dumps(first.record))["decision"] == "keep"


def test_one_that_was_killed_goes_on_where_it_was(place):
    looked_at_again()
    records = read_run("found")
    events = records.folder.events_file
    events.write_bytes(b"".join(events.read_bytes().splitlines(keepends=True)[:-1]))
    challengers = records.folder.path / "reevaluations/001/challengers"
    before = (challengers / "epochs.jsonl").read_bytes()
    assert looked_at_again().record["number"] == 1
    assert (challengers / "epochs.jsonl").read_bytes() == before


def test_one_that_was_killed_and_asked_for_something_else_is_left_alone(place):
    looked_at_again()
    events = read_run("found").folder.events_file
    events.write_bytes(b"".join(events.read_bytes().splitlines(keepends=True)[:-1]))
    assert looked_at_again(seeds=3).record["number"] == 2


def test_its_parts_are_not_resumed_by_themselves(place):
    looked_at_again()
    with pytest.raises(RecordError, match="orchestrator reevaluate"):
        orchestrator.resume("runs/found/reevaluations/001/incumbent", executor="inline")


def test_changed_code_is_a_finding(place):
    (place / "train.py").write_text(TRAIN + "\n# another day\n")
    (found,) = looked_at_again().record["drift"]
    assert found["what"] == "code"
    assert "train.py" in found["said"]


def test_changed_versions_and_hardware_are_findings_with_their_names(place):
    file = place / "runs/found/manifest.json"
    manifest = json.loads(file.read_text())
    manifest["versions"]["numpy"] = "1.0.1"
    manifest["machine"]["cores"] = 4096
    file.write_text(json.dumps(manifest))
    found = {each["what"]: each["said"] for each in looked_at_again().record["drift"]}
    assert found.keys() == {"versions", "hardware"}
    assert "numpy 1.0.1 -> " in found["versions"] and "cores 4096 -> " in found["hardware"]


def test_data_are_refused_where_trials_have_their_own(place):
    with pytest.raises(ExperimentFileError, match="a function that has its own"):
        looked_at_again(data="./new.csv")
    assert not (place / "runs/found/reevaluations").exists()


def test_gaps_in_todays_file_are_refused_with_a_way_out_that_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = "from sklearn.linear_model import SGDClassifier as C\ndef make(hp):\n    return C(alpha=hp['alpha'])\n"
    (tmp_path / "net.py").write_text(net)
    rows = [f"{k % 2 + k / 500},{k},{'ab'[k % 2]}" for k in range(60)]
    (tmp_path / "rows.csv").write_text("\n".join(["x,z,y", *rows]))
    made = {
        "trial": {"sklearn": "./net.py:make"},
        "search_space": {"alpha": "loguniform(1e-4, 1e-2)"},
    }
    data = {"source": "./rows.csv", "label": "y"}
    few = {"num_samples": 2, "finalists": False, "scheduler": "none"}
    asked = {"name": "found", **made, "data": data, "epochs": 1, "caviar": few}
    orchestrator.run(asked, executor="inline", progress=False)
    today = tmp_path / "today.csv"
    today.write_text("\n".join(["x,z,y", ",7,a", *rows]))
    with pytest.raises(
        DataError, match=r"missing: 1 in column 'x'.*fill them in today's file"
    ) as no:
        looked_at_again(data=str(today))
    assert "data.missing" not in str(no.value)
    today.write_text("\n".join(["x,z,y", "0,7,a", *rows]))
    assert looked_at_again(data=str(today)).decision


def test_a_run_that_is_driven_is_left_to_its_driver(place):
    with driving(RunFolder.open("found")), pytest.raises(RunExistsError):
        looked_at_again()


@pytest.mark.parametrize("seeds", [0, 1, 101])
def test_so_many_seeds_are_refused(place, seeds):
    with pytest.raises(ExperimentFileError, match="2 to 100 seeds"):
        looked_at_again(seeds=seeds)


def test_a_run_without_a_winner_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("def train(hp, report):\n    raise ValueError('no')\n")
    few = {**EXPERIMENT, "caviar": {"num_samples": 2}}
    orchestrator.run(few, executor="inline", progress=False)
    with pytest.raises(RecordError, match="none of its 2 trials"):
        looked_at_again()


def test_a_run_that_was_cut_off_is_to_be_resumed_first(place):
    events = read_run("found").folder.events_file
    events.write_bytes(b"".join(events.read_bytes().splitlines(keepends=True)[:-1]))
    shutil.rmtree(place / "runs/found/reevaluations", ignore_errors=True)
    with pytest.raises(RecordError, match="orchestrator resume"):
        looked_at_again()
