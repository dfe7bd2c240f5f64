"""Ray is imported here, never started."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path

import pytest
import ray

from orchestrator.config import RetryOptions, Span
from orchestrator.errors import TrialError
from orchestrator.records import DiskFull
from orchestrator.tuning.failures import Attempts, Failure, lost, raised


def caught(error, cause=None):
    try:
        raise error from cause
    except Exception as found:  # noqa: BLE001
        return raised(found)


@pytest.mark.parametrize(
    ("error", "kind", "passing"),
    [
        (ValueError("units"), "error", False),
        (TrialError("no such layer"), "error", False),
        (ConnectionResetError("peer"), "error", True),
        (OSError(errno.ESTALE, "Stale file handle"), "error", True),
        (FileNotFoundError("x.npz"), "error", False),
        (MemoryError(), "out_of_memory", True),
        (OSError(errno.ENOSPC, "No space left on device"), "disk", True),
        (DiskFull(Path("a.npz"), 77), "disk", True),
    ],
)
def test_what_a_trial_raised_is_of_a_kind_and_may_pass_or_not(error, kind, passing):
    failure = caught(error)
    assert (failure.kind, failure.passing) == (kind, passing)
    assert failure.whole.startswith("Traceback")
    assert pickle.loads(pickle.dumps(failure)) == failure  # noqa: S301


def test_a_full_disk_says_how_much_did_not_fit():
    assert caught(DiskFull(Path("a.npz"), 77)).bytes_needed == 77


def test_an_error_wrapped_by_ours_is_of_its_causes_kind():
    assert caught(TrialError("training: MemoryError"), MemoryError()).kind == "out_of_memory"
    assert caught(TrialError("training"), OSError(errno.ENOSPC, "full")).kind == "disk"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (None, "worker_died"),
        (ray.exceptions.WorkerCrashedError(), "worker_died"),
        (ray.exceptions.OutOfMemoryError("Task was killed"), "out_of_memory"),
        (ray.exceptions.NodeDiedError("gone"), "node_lost"),
        (RuntimeError("The actor died because its node has died. Node Id: ab"), "node_lost"),
        (RuntimeError("killed: the node was running low on memory"), "out_of_memory"),
    ],
)
def test_a_worker_is_lost_with_its_node_for_lack_of_memory_or_by_itself(error, kind):
    assert lost(error).kind == kind


def attempts(times=3, wait=5):
    return Attempts(RetryOptions(times=times, wait=Span(wait, "second")))


DIED = Failure("worker_died", "worker died: x", "x")
NETWORK = Failure("error", "ConnectionResetError: peer", "x")
BUG = Failure("error", "ValueError: units", "x", passing=False)


def test_the_wait_doubles_until_the_tries_are_used_up():
    tries = attempts()
    assert [tries.wait_after("a", DIED) for _ in range(4)] == [5.0, 10.0, 20.0, None]
    assert tries.wait_after("b", DIED) == 5.0


def test_a_bug_is_not_tried_again_and_what_may_pass_only_until_it_comes_twice():
    assert attempts().wait_after("a", BUG) is None
    tries = attempts()
    assert tries.wait_after("a", NETWORK) == 5.0
    assert tries.wait_after("a", NETWORK) is None


def test_without_retries_nothing_is_tried_again():
    assert attempts(times=0).wait_after("a", DIED) is None


def test_the_first_try_counts_among_those_made():
    tries = attempts()
    assert tries.made("a") == 1
    tries.wait_after("a", DIED)
    assert tries.made("a") == 2
