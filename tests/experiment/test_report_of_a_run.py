"""A run leaves its page behind, unless it is told not to; that it could not be written harms nothing."""

from __future__ import annotations

import orchestrator


def train(hp, report):
    for epoch in (1, 2):
        report(epoch, score=hp["rate"] * epoch)


def ran(folder, trial=train, **more):
    told = {
        "name": "small",
        "trial": trial,
        "metric": "score",
        "mode": "max",
        "epochs": 2,
        "storage_path": str(folder),
        "search_space": {"rate": "uniform(0, 1)"},
        "caviar": {"num_samples": 3, "scheduler": "none"},
    }
    return orchestrator.run(told | more, executor="inline", progress=False)


def test_a_run_leaves_its_page(tmp_path):
    run = ran(tmp_path)
    html = (run.path / "report.html").read_text(encoding="utf-8")
    assert f"<title>{run.name}</title>" in html
    assert all(f'id="trial-{trial.trial}"' in html for trial in run.records.trials)


def test_a_run_that_is_told_not_to_leaves_none(tmp_path):
    run = ran(tmp_path, report=False)
    assert run.status == "finished"
    assert not (run.path / "report.html").exists()


def test_a_page_that_cannot_be_written_harms_no_run(tmp_path):
    def blocked(hp, report):
        (tmp_path / "small" / "report.html").mkdir(exist_ok=True)
        train(hp, report)

    run = ran(tmp_path, blocked)
    assert (run.status, run.best.epoch) == ("finished", 2)
    assert (run.path / "trials.csv").is_file()


def test_a_run_writes_its_page_again_when_asked(tmp_path):
    run = ran(tmp_path, report=False)
    assert run.report() == run.path / "report.html"
    assert run.report(tmp_path / "elsewhere.html").is_file()
