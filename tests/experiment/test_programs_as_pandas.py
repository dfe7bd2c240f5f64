"""Functions in another Python and programs as pandas: changed between reports, gone on with, taken back, refused."""

from __future__ import annotations

import sys

import pytest

from orchestrator.errors import OrchestratorError
from orchestrator.experiment import extend, preview, resume, run
from orchestrator.experiment.warm_start import promoted
from tests.depth import in_depth
from tests.experiment.inline import InlineTuner
from tests.experiment.test_functions_as_pandas import CAVIAR, MINE, PANDA, QUIETLY, VALUES, values

PROGRAM = """
import json, pathlib, sys, time
rate, folder, epochs = float(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
saved = folder / "at"
epoch, at = json.loads(saved.read_text()) if saved.exists() else (0, 100.0)
while epoch < epochs:
    epoch, at = epoch + 1, at - rate
    with open("trained.txt", "a") as file:
        print(epoch, file=file)
    saved.write_text(json.dumps([epoch, at]))
    print(json.dumps({"epoch": epoch, "val_loss": at}), flush=True)
    time.sleep(0.3)      # until the signal that pauses it is there
"""
COMMAND = f"{sys.executable} program.py {{learning_rate}} {{checkpoint}} {{epochs}}"
KINDS = {
    "another Python": {"function": "./mine.py:train", "python": sys.executable},
    "a program": {"command": COMMAND},
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


@pytest.mark.parametrize("kind", in_depth(KINDS, "a program"))
def test_it_is_changed_by_schedule_cut_off_gone_on_with_and_extended(kind, here):
    tuner = InlineTuner()
    tuner.most = 5
    cut = run({**PANDA, "trial": KINDS[kind]}, executor=tuner, progress=False)
    assert cut.status == "interrupted"
    assert values(resume(cut.path, **QUIETLY)) == VALUES
    assert values(extend("fn", days="+1", **QUIETLY)) == [*VALUES, 66.0, 56.0]
    assert (here / "trained.txt").read_text().split() == [str(epoch) for epoch in range(1, 9)]


@pytest.mark.parametrize("kind", in_depth(KINDS, "another Python"))
def test_it_is_taken_back_and_changed_by_a_person(kind):
    tuner = InlineTuner()

    def ask():
        from orchestrator import open_run

        panda = open_run("fn").panda()
        panda.rollback(to_day=1)
        panda.set({"learning_rate": 3.0})

    keys = {**PANDA, "trial": KINDS[kind]}
    keys["panda"] = {**PANDA["panda"], "schedule": []}
    tuner.before = {("00000", 4): ask}
    done = run(keys, executor=tuner, progress=False)
    assert done.status == "finished", done.records.trials
    assert values(done)[:3] == [99.0, 98.0, 97.0]
    assert values(done)[-4:] == [95.0, 92.0, 89.0, 86.0]


def test_a_program_without_a_folder_for_its_state_is_refused_with_the_reason():
    command = {"command": f"{sys.executable} program.py {{learning_rate}} . {{epochs}}"}
    with pytest.raises(
        OrchestratorError, match=r"strategy: expected caviar, .* names no \{checkpoint\}"
    ):
        preview({**PANDA, "trial": command})


def test_a_change_after_an_epoch_without_a_state_is_refused_and_the_program_goes_on(here):
    (here / "program.py").write_text(
        PROGRAM.replace("    saved.write", "    epoch < 4 and saved.write")
    )
    done = run({**PANDA, "trial": KINDS["a program"]}, **QUIETLY)
    assert values(done) == [99.0, 98.0, 97.0, 96.0, 95.0, 94.0]
    said = [entry.get("reason", "") for entry in done.records.journal if entry["kind"] == "refused"]
    assert any("expected an epoch whose state was saved in {checkpoint}" in each for each in said)


def test_a_panda_of_another_python_is_made_of_the_best_of_many():
    many = run({**CAVIAR, "trial": KINDS["another Python"]}, **QUIETLY)
    done = run({**promoted("many", "runs"), "name": "one"}, **QUIETLY)
    assert values(done)[0] == pytest.approx(
        many.best.value - many.best.hyperparameters["learning_rate"]
    )
    assert done.records.experiment["trial"]["python"] == sys.executable
