"""Population based training on Ray: the table that one process gives, cut off in between as well."""

from __future__ import annotations

import os
import signal
import threading
import time

import orchestrator
from orchestrator.records import RunFolder
from tests.experiment.test_population_of_a_run import curves, experiment


def test_two_workers_give_the_table_of_one_process_after_an_interruption_too(cluster, tmp_path):
    alone = orchestrator.run(experiment(tmp_path / "alone"), progress=False, executor="inline")
    keys = experiment(tmp_path / "ray")
    epochs = RunFolder(tmp_path / "ray" / "one").epochs_file

    def interrupt():
        while not epochs.exists() or len(epochs.read_bytes().splitlines()) < 9:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    cut_off = orchestrator.run(keys, progress=False)
    ended = (
        orchestrator.resume(cut_off, progress=False) if cut_off.status == "interrupted" else cut_off
    )
    assert ended.status == "finished" and curves(ended) == curves(alone)
    origins = [[(t.trial, t.origin) for t in run.reload().records.trials] for run in (ended, alone)]
    assert sorted(origins[0], key=str) == sorted(origins[1], key=str)
