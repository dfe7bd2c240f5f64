"""Where states lie, and what is asked of them without knowing their files."""

from __future__ import annotations

import numpy as np
import pytest

from orchestrator.trials import Checkpoint, StateStore, save_checkpoint


def state(**about):
    return Checkpoint((np.zeros(2),), (np.ones(1),), about)


@pytest.fixture
def states(tmp_path):
    return StateStore(tmp_path / "checkpoints")


def test_last_states_are_told_apart_from_best_ones_and_damaged_ones_are_left_out(states):
    save_checkpoint(states.best("00000"), state(epoch=1))
    save_checkpoint(states.last("00000"), state(epoch=2))
    save_checkpoint(states.last("00001"), state(epoch=3))
    states.last("00002").write_bytes(b"torn")
    assert states.with_best() == ["00000"]
    assert [(trial, about["epoch"]) for trial, about in states.last_states()] == [
        ("00000", 2),
        ("00001", 3),
    ]
    states.forget_last("00000")
    states.forget_last("gone already")
    assert [trial for trial, _ in states.last_states()] == ["00001"]


def test_a_babysat_trials_best_state_comes_back_from_beside_its_days(states):
    save_checkpoint(states.best("panda"), state(epoch=4))
    states.days("panda").save(1, state(epoch=4))
    states.days("panda").save_best("last", states.best("panda"))
    states.best("panda").unlink()
    assert states.has_best("panda") and states.best("panda").is_file()
    assert not states.has_best("another")


@pytest.mark.parametrize(("epoch", "goes_on"), [(3, True), (4, False)])
def test_a_trial_goes_on_from_its_best_state_where_that_is_its_last_epochs(states, epoch, goes_on):
    about = {"trial": "00000", "epoch": 3, "metrics": {"val_loss": 0.5}}
    save_checkpoint(states.best("00000"), state(**about))
    assert states.go_on_from_best("00000", epoch, "val_loss", "min") is goes_on
    assert states.last("00000").exists() is goes_on
    if goes_on:
        assert states.about(states.last("00000"))["rows"] == []
