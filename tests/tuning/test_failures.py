"""Ray is imported here, never started."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path

import pytest
import ray

from orchestrator.config import Duration, RetryOptions
from orchestrator.errors import TrialError
from orchestrator.records import DiskFull
from orchestrator.tuning.failures import Attempts, Failure, from_exception
from orchestrator.tuning.worker import from_worker_loss


def caught(error, cause=None):
    try:
        raise error from cause
    except Exception as found:  # noqa: BLE001
        return from_exception(found)


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
    assert (failure.kind, failure.transient) == (kind, passing)
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
    assert from_worker_loss(error).kind == kind


CUT_OFF = """\
The actor died unexpectedly before finishing this task.
\tclass_name: Worker
\tactor_id: fa20245f9219abb49da1563201000000
\tpid: 25365
\tnamespace: 579503bf-f9df-467b-8a02-1cd0cb267e2f
\tip: 10.78.0.3
The actor died because its node has died. Node Id: 346434b9a79d9294229b170f798746fa1539dc39a64eb66cab7ee5e2
\tthe actor's node was terminated unexpectedly: health check failed due to missing too many heartbeats"""
"""What Ray 2.60 says of a worker on a host whose cable was cut."""
KILLED = (
    "The actor aad95e06221a411afff56ad401000000 is unavailable: The actor is temporarily unavailable: RpcError:"
    " RPC error: Socket closed rpc_code: 14. The task may or may not have been executed on the actor."
)
"""What it says of one on a host all of whose processes were killed: nobody knows yet that it is more than a process."""


@pytest.mark.parametrize(
    ("said", "kind", "line"),
    [
        (CUT_OFF, "node_lost", "The actor died because its node has died. Node Id: 3464"),
        (KILLED, "worker_died", "The actor aad95e06221a411afff56ad401000000 is unavailable"),
    ],
)
def test_what_is_told_of_a_lost_worker_is_the_line_that_says_why(said, kind, line):
    error = ray.exceptions.RayActorError(error_msg=said)
    failure = from_worker_loss(pickle.loads(pickle.dumps(error)))  # noqa: S301
    assert (failure.kind, failure.whole) == (kind, said)
    assert failure.message.startswith(f"{kind.replace('_', ' ')}: {line}")


def attempts(times=3, wait=5):
    return Attempts(RetryOptions(times=times, wait=Duration(wait, "second")))


DIED = Failure("worker_died", "worker died: x", "x")
NETWORK = Failure("error", "ConnectionResetError: peer", "x")
BUG = Failure("error", "ValueError: units", "x", transient=False)


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


@pytest.mark.parametrize("place", ["checkpoints/00000.npz", "logs", ""])
def test_what_fails_below_the_runs_own_folder_is_the_runs_trouble(tmp_path, place):
    error = PermissionError(13, "Permission denied", str(tmp_path / place))
    assert from_exception(error, tmp_path).of_run
    assert not from_exception(error, tmp_path / "checkpoints" / "other").of_run
    assert not from_exception(ValueError("units"), tmp_path).of_run


def test_the_colours_of_a_terminal_are_no_part_of_what_ray_said():
    failure = from_worker_loss(RuntimeError("\x1b[36mray::Worker.train()\x1b[39m ended"))
    assert failure.message == "worker died: ray::Worker.train() ended"
