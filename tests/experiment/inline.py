"""Ray's place in a test: one worker that is this process. Stage, workbench and training are the real ones."""

from __future__ import annotations

from orchestrator.training.progress import Progress
from orchestrator.tuning.examination import Examination
from orchestrator.tuning.failures import raised
from orchestrator.tuning.job import Outcome, Report
from orchestrator.tuning.stage import Stage


class InlineTuner:
    """Stands for ``run_plan``. ``before`` {(trial, how many reports): action} is done before a trial's next report.

    ``most`` reports are heard, then the run is cut off as by a kill.
    """

    def __init__(self):
        self.before, self.most = {}, 999

    def __call__(self, plan, job, listener, sitting):
        stage = Stage(plan, listener, sitting)
        bench = job.open()
        heard = 0
        while not (stage.over or stage.trouble) and (spec := stage.next_trial()) is not None:
            stage.started(spec.trial)
            session = bench.session(spec)
            goes_on, reports = True, 0
            while goes_on and heard < self.most:
                self.before.pop((spec.trial, reports), lambda: None)()
                goes_on = stage.heard(report(session, spec, job))
                reports, heard = reports + 1, heard + 1
            if heard >= self.most and goes_on:
                return Outcome(ended=False)
        if stage.trouble:
            stage.cut_off()
            return Outcome(ended=False, trouble=stage.trouble)
        examination = Examination(listener, bool)
        examination.by_a_new_one(lambda verdict: Examiner(bench, verdict))
        return Outcome(examination.settled, stage.reason)


def report(session, spec, job):
    progress, failure = Progress(), None
    try:
        session.advance(progress, 0.0)
    except Exception as error:  # noqa: BLE001 (the trial boundary)
        failure = raised(error, job.home)
    return Report(spec.trial, progress, failure, {})


class Examiner:
    def __init__(self, bench, verdict):
        self.bench, self.verdict = bench, verdict

    def answer(self, seconds):
        try:
            return self.bench.judge(self.verdict.checkpoint, self.verdict.best)
        except Exception as error:  # noqa: BLE001 (the trial boundary)
            return raised(error)
