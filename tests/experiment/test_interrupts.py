"""Ctrl-C and SIGTERM: the first is a request, the second an order, and two bosses' SIGTERMs are one request."""

from __future__ import annotations

import signal

import pytest

from orchestrator.experiment import run_lease


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
