"""Whether Ray answers here, asked in a process of its own, which can be ended when it does not."""

from __future__ import annotations

import io
import multiprocessing
import os
import sys
import tempfile
from multiprocessing.connection import Connection

from orchestrator.errors import PlaceError


def ray_resources(cores: int, seconds: float = 60.0) -> dict[str, float]:
    """Return what the cluster at ``RAY_ADDRESS`` offers, or one of ``cores`` started to be asked.

    Raises PlaceError where Ray fails or has not answered after ``seconds``. Nothing is left running
    or on disk.
    """
    here, there = multiprocessing.Pipe(duplex=False)
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as scratch:
        asking = multiprocessing.get_context("spawn").Process(
            target=_ask, args=(there, cores, scratch), daemon=True
        )
        asking.start()
        there.close()
        try:
            answer = _answer(here, seconds)
            asking.join(10 if isinstance(answer, dict) else 0)
        finally:
            asking.kill()  # the daemons it started end with it
            asking.join()
    if isinstance(answer, str):
        raise PlaceError(f"expected an answer of Ray. Received: {answer}")
    return dict(answer)


def _answer(here: Connection, seconds: float) -> dict[str, float] | str:
    """Return the resources, or a sentence of why there are none."""
    try:
        return here.recv() if here.poll(seconds) else f"nothing in {seconds:g} s."  # type: ignore[no-any-return]
    except EOFError:
        return "the end of the process that asked."


def _ask(there: Connection, cores: int, scratch: str) -> None:
    """Send the cluster's resources, or a sentence of why there are none."""
    os.environ["RAY_TMPDIR"] = scratch
    sys.stdout = sys.stderr = io.StringIO()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    import ray

    from orchestrator.tuning.cluster import running_ray

    try:
        with running_ray(cores):
            there.send({str(name): float(many) for name, many in ray.cluster_resources().items()})
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        there.send(f"{type(error).__name__}: {str(error).strip().splitlines()[0]}")
