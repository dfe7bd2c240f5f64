"""What run and resume do with a run that is new, cut off, finished, or finished without a winner."""

from __future__ import annotations

import shutil

import pytest

from orchestrator.errors import RunExistsError
from orchestrator.experiment import changed_since, resume, run
from orchestrator.records import TrialEnd
from orchestrator.search import Search
from orchestrator.tuning.protocol import Outcome
from tests.experiment.coming import coming

TRIALS, EPOCHS = 3, 2


class Tuner:
    """Stands for ``run_plan``: trains nothing, ends each trial well, and examines the winner where it ``can``."""

    def __init__(self):
        self.can, self.most, self.reason = True, 99, None
        self.trained = []

    def __call__(self, plan, job, listener, sitting):
        left = coming(sitting.search or Search(plan))
        self.trained.append([spec.trial for spec in left])
        for spec in left[: self.most]:
            self._train(spec, listener, job)
        if len(left) > self.most:
            listener.started(left[self.most])
            return Outcome(ended=False)
        verdict = listener.verdict()
        if verdict is not None and self.can:
            scores = {"trial": verdict.checkpoint.stem, "epoch": EPOCHS, "test": {"accuracy": 0.5}}
            listener.judged(scores)
        elif verdict is not None:
            listener.not_judged("no worker could")
        return Outcome(ended=True, reason=self.reason)

    @staticmethod
    def _train(spec, listener, job):
        listener.started(spec)
        for epoch in range(1, EPOCHS + 1):
            metrics = {"loss": 1.0, "val_accuracy": 0.5 + spec.index / 10}
            row = {"trial": spec.trial, "epoch": epoch, "metrics": metrics, "seconds": 0.1}
            listener.epochs([row])
        (job.objective.checkpoints / f"{spec.trial}.npz").write_bytes(b"state")
        listener.ended(TrialEnd(spec.trial, "finished", 0.2), None)


@pytest.fixture
def tuner():
    return Tuner()


@pytest.fixture
def asked(tmp_path):
    return {
        "name": "one", "model": "mlp", "data": "digits", "epochs": EPOCHS, "seed": 4,
        "search_space": {"learning_rate": "loguniform(1e-3, 1)"},
        "storage_path": str(tmp_path / "runs"),
        "caviar": {"num_samples": TRIALS, "scheduler": "none"},
    }  # fmt: skip


def events(run):
    return [event["event"] for event in run.reload().records.events]


def test_a_finished_run_without_a_winner_has_it_examined_by_resume(tuner, asked):
    tuner.can, tuner.reason = False, "limits.max_epochs of 6 is used up"
    first = run(asked, progress=False, executor=tuner)
    assert (first.status, first.records.winner) == ("finished", None)
    assert "not_examined" in events(first)
    tuner.can, tuner.reason = True, None
    again = resume(first.path, progress=False, executor=tuner)
    assert tuner.trained[1] == [], "no trial is trained again"
    assert again.best.trial == "00002" and again.best.test == {"accuracy": 0.5}
    assert events(again)[-3:] == ["run_started", "winner", "run_finished"]
    assert again.records.standing.reason == "limits.max_epochs of 6 is used up"
    resume(first.path, progress=False, executor=tuner)
    assert len(tuner.trained) == 2, "a finished run with a winner is returned as it is"


def test_a_finished_run_without_any_state_to_examine_says_so_and_resume_trains_its_best_again(
    tuner, asked
):
    really = tuner._train

    def forgetful(spec, listener, job):
        really(spec, listener, job)
        shutil.rmtree(job.objective.checkpoints)
        job.objective.checkpoints.mkdir()

    tuner._train = forgetful
    first = run(asked, progress=False, executor=tuner)
    [told] = [event for event in first.records.events if event["event"] == "not_examined"]
    assert "no trial's state is left" in told["reason"]
    assert f"'orchestrator resume {first.path}'" in told["reason"]
    tuner._train = really
    again = resume(first.path, progress=False, executor=tuner)
    assert tuner.trained[1:] == [["00002"]]
    assert again.best.test == {"accuracy": 0.5}


def test_or_resume_begins_a_run_goes_on_with_it_and_returns_it(tuner, asked):
    tuner.most = 1
    assert run(asked, progress=False, executor=tuner, or_resume=True).status == "interrupted"
    tuner.most = 99
    ended = run(asked, progress=False, executor=tuner, or_resume=True)
    assert (ended.status, ended.best.trial) == ("finished", "00002")
    again = run(asked, progress=False, executor=tuner, or_resume=True)
    assert (again.status, again.best) == ("finished", ended.best)
    assert tuner.trained == [["00000", "00001", "00002"], ["00001", "00002"]]
    with pytest.raises(RunExistsError):
        run(asked, progress=False, executor=tuner)


def test_or_resume_of_a_changed_file_goes_by_the_record(tuner, asked):
    tuner.most = 1
    run(asked, progress=False, executor=tuner, or_resume=True)
    tuner.most = 99
    changed = asked | {"epochs": 9, "caviar": {"num_samples": 99, "scheduler": "none"}}
    ended = run(changed, progress=False, executor=tuner, or_resume=True)
    assert (len(ended.records.trials), ended.records.experiment["epochs"]) == (TRIALS, EPOCHS)


def test_what_changed_since_a_run_began_is_told_by_its_keys(tuner, asked, tmp_path):
    assert changed_since(asked) == (), "there is no run"
    run(asked, progress=False, executor=tuner)
    assert changed_since(asked) == ()
    caviar = {"num_samples": 9, "scheduler": "none"}
    target = {"slurm": {"nodes": 2}}
    changed = asked | {"epochs": 3, "caviar": caviar, "target": target}
    assert changed_since(changed) == ("epochs", "caviar.num_samples")
    assert changed_since(asked, ["limits.max_epochs=9"]) == ("limits.max_epochs",)
    space = {"learning_rate": "loguniform(1e-2, 1)"}
    assert changed_since(asked | {"search_space": space}) == ("search_space",)
    (tmp_path / "space.yaml").write_text("learning_rate: loguniform(0.001, 1)\n")
    assert changed_since(asked | {"search_space": str(tmp_path / "space.yaml")}) == ()
    assert changed_since(asked | {"search_space": "./gone.yaml"}) == (), "no fault of the run"
