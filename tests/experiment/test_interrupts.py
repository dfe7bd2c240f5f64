"""Ctrl-C and SIGTERM: the first is a request, the second an order, and two bosses' SIGTERMs are one request."""

from __future__ import annotations

import os
import signal

import pytest
import ray

from orchestrator.experiment import resume, run, run_lease
from orchestrator.tuning.cluster import TOO_SLOW


def test_the_first_is_heard_and_a_second_ctrl_c_ends_at_once():
    with run_lease.asked_to_stop() as asked:
        signal.raise_signal(signal.SIGTERM)
        assert asked.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_second_sigterm_is_the_same_request_for_a_while(monkeypatch):
    with run_lease.asked_to_stop():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        monkeypatch.setattr(run_lease, "SAME_SECONDS", 0)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def too_slow(asked):
    """A Ray that is asked for while the run is told to stop, and that never comes."""

    def init(**how):
        asked.append(how)
        if len(asked) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        raise Exception(f"The current node {TOO_SLOW}. This could happen because")

    return init


def test_a_run_that_is_asked_to_stop_while_ray_fails_to_start_is_no_refusal(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("def train(hp, report):\n    report(1, loss=hp['x'])\n")
    keys = {"name": "slow", "trial": "./mine.py:train", "metric": "loss", "epochs": 1,
            "search_space": {"x": "uniform(0, 1)"}, "caviar": {"num_samples": 2}}  # fmt: skip
    asked = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "init", too_slow(asked))
    ended = run(keys, progress=False)
    assert (ended.status, len(asked)) == ("interrupted", 1)
    assert resume(ended, progress=False, executor="inline").status == "finished"
