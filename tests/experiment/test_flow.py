"""What run and resume do with a run that is new, cut off, finished, or finished without a winner."""

from __future__ import annotations

import pytest

from orchestrator.experiment import resume, run
from orchestrator.records import TrialEnd
from orchestrator.tuning.job import Outcome

TRIALS, EPOCHS = 3, 2


class Tuner:
    """Stands for ``run_plan``: trains nothing, ends each trial well, and examines the winner where it ``can``."""

    def __init__(self):
        self.can, self.most, self.reason = True, 99, None
        self.trained = []

    def __call__(self, plan, job, listener, sitting):
        self.trained.append([spec.trial for spec in plan.trials])
        for spec in plan.trials[: self.most]:
            self._train(spec, listener, job)
        if len(plan.trials) > self.most:
            listener.started(plan.trials[self.most])
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
        (job.goal.checkpoints / f"{spec.trial}.npz").write_bytes(b"state")
        listener.ended(TrialEnd(spec.trial, "finished", 0.2), None)


@pytest.fixture
def tuner(monkeypatch):
    tuner = Tuner()
    monkeypatch.setattr("orchestrator.tuning.run.run_plan", tuner)
    return tuner


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
    first = run(asked, progress=False)
    assert (first.status, first.records.winner) == ("finished", None)
    assert "not_examined" in events(first)
    tuner.can, tuner.reason = True, None
    again = resume(first.path, progress=False)
    assert tuner.trained[1] == [], "no trial is trained again"
    assert again.best.trial == "00002" and again.best.test == {"accuracy": 0.5}
    assert events(again)[-3:] == ["run_started", "winner", "run_finished"]
    assert again.records.standing.why == "limits.max_epochs of 6 is used up"
    resume(first.path, progress=False)
    assert len(tuner.trained) == 2, "a finished run with a winner is returned as it is"


def test_a_finished_run_without_any_state_to_examine_says_so_and_is_over(tuner, asked):
    really = tuner._train

    def forgetful(spec, listener, job):
        really(spec, listener, job)
        for file in job.goal.checkpoints.iterdir():
            file.unlink()

    tuner._train = forgetful
    first = run(asked, progress=False)
    [told] = [event for event in first.records.events if event["event"] == "not_examined"]
    assert "no trial's state is left" in told["why"]
    resume(first.path, progress=False)
    assert len(tuner.trained) == 1
