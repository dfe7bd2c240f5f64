"""How many lanes train the most trials an hour: measured on the trial that comes first, as far as memory allows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import psutil

from orchestrator.training.fit_backend import FitBackend
from orchestrator.training.lanes import LaneBackend
from orchestrator.training.trainer import Trainer

STEPS = 200
"""Of an epoch with more steps, so many are timed."""
TIMES = 3
"""How often an epoch is timed, after one that is not; the fastest counts."""
TRYING_SECONDS = 120.0
"""No further number is tried once so much time went by."""
GAIN = 1.05
"""What more lanes must be worth: more trials an hour by this factor."""
MEMORY_SHARE = 0.8
"""How much of the memory that is free lanes may take."""
HOST_BYTES = 6 * 2**20
"""What a lane's Keras model and trainer take in the host's memory, its numbers aside."""
COPIES = 4
"""Of a lane's state on the host: the model's own, the best one, the last one, one that is being written."""


@dataclass(frozen=True)
class Tried:
    """What an epoch of so many ``lanes`` takes in seconds, and in memory: that of the ``device``, and of the host.

    ``lanes`` 0: of the trial by itself, by ``fit``.
    """

    lanes: int
    seconds: float
    compiled: float
    device: int
    host: int

    @property
    def rate(self) -> float:
        """Return the epochs of a trial that are trained in a second."""
        return max(1, self.lanes) / self.seconds


def tried(trainer: Trainer, most: int) -> dict[str, Any]:
    """Return the best number of lanes for a trial that has just begun, why, and what was measured.

    Raises nothing of its own: a model that cannot be a lane has none, None, and the reason.
    """
    backend = trainer.backend
    if not isinstance(backend, LaneBackend) or backend.bank.why_not:
        why = trainer.slot.reason if trainer.slot else None
        return _none(why)
    began, found, stopped = time.monotonic(), list[Tried](), "as many as there are trials"
    alone = Tried(0, _seconds_alone(backend, trainer), 0.0, 0, 0)
    for lanes in _numbers(most):
        if not _fits(found, lanes):
            stopped = "more do not fit in memory"
            break
        one = _tried(backend, trainer, lanes)
        if one is None:
            return _none(backend.bank.why_not)
        found.append(one)
        if len(found) > 2 and one.rate < GAIN * max(each.rate for each in found[:-2]):
            stopped = "more gain nothing"
            break
        if time.monotonic() - began > TRYING_SECONDS:
            stopped = f"no more were tried after {TRYING_SECONDS:.0f} s"
            break
    return _chosen([alone, *found], stopped)


def _none(why: str | None) -> dict[str, Any]:
    return {"lanes": None, "reason": f"none, trials train one after another: {why}"}


def _numbers(most: int) -> list[int]:
    """Return 1, 2, 4, … and the most."""
    return [*(1 << power for power in range(most.bit_length()) if 1 << power < most), most]


def _chosen(found: list[Tried], stopped: str) -> dict[str, Any]:
    """Return the fewest lanes among those that train the most trials an hour, all but equally many included.

    None where trials one after another, by ``fit``, are as good.
    """
    best = max(each.rate for each in found)
    chosen = next(each for each in found if each.rate * GAIN >= best)
    said = ", ".join(f"{each.lanes or 'none'}: {each.rate:.3g}" for each in found)
    reason = f"{chosen.lanes or 'none'}, by trial-epochs a second measured with {said}; {stopped}"
    return {
        "lanes": chosen.lanes or None,
        "reason": reason,
        "measured": [
            {
                "lanes": each.lanes,
                "epoch_seconds": round(each.seconds, 6),
                "compile_seconds": round(each.compiled, 3),
                "device_mb": round(each.device / 2**20, 1),
                "host_mb": round(each.host / 2**20, 1),
            }
            for each in found
        ],
    }


def _seconds_alone(backend: LaneBackend, trainer: Trainer) -> float:
    """Return what an epoch takes by ``fit``, its validation included; the second chunk of one, or epoch, is timed."""
    epoch, done, a_step = backend.comes_next(), 0, 0.0
    for _ in range(2):
        began = time.perf_counter()
        chunk = FitBackend.train(backend, epoch, done)
        a_step = (time.perf_counter() - began) / (chunk.steps - done)
        done = chunk.steps if chunk.metrics is None else 0
        began = time.perf_counter()
        FitBackend.evaluate(backend, "validation")
        judging = time.perf_counter() - began
    return trainer.steps_per_epoch * a_step + judging


def _tried(backend: LaneBackend, trainer: Trainer, lanes: int) -> Tried | None:
    began = time.monotonic()
    made = backend.bank.program_for(backend, backend.comes_next(), lanes, STEPS)
    if made is None:
        return None
    program, given = made
    compiled = time.monotonic() - began
    seconds = [_seconds(program, given) for _ in range(1 + TIMES)]
    whole = max(1.0, trainer.steps_per_epoch / STEPS)
    state = sum(np.asarray(v.value).nbytes for part in backend.parts for v in part)
    device = _bytes_of(program) + lanes * state
    host = lanes * (HOST_BYTES + COPIES * state)
    return Tried(lanes, whole * min(seconds[1:]), compiled, device, host)


def _seconds(program: Any, given: Any) -> float:
    began = time.perf_counter()
    jax.block_until_ready(program(*given))
    return time.perf_counter() - began


def _bytes_of(program: Any) -> int:
    """Return what a program takes while it runs: what goes in, what comes out, and what lies between."""
    used = program.memory_analysis()
    parts = ("argument", "output", "temp")
    return sum(int(getattr(used, f"{part}_size_in_bytes", 0) or 0) for part in parts)


def _fits(found: list[Tried], lanes: int) -> bool:
    """Return whether so many lanes fit in memory, going by the last number that was tried."""
    if not found:
        return True
    last = found[-1]
    device, host = (part * lanes / last.lanes for part in (last.device, last.host))
    of_device, of_host = _free()
    if of_device is None:
        return device + host <= MEMORY_SHARE * of_host
    return device <= MEMORY_SHARE * of_device and host <= MEMORY_SHARE * of_host


def _free() -> tuple[int | None, int]:
    """Return the bytes that are free on the device, None where its memory is the host's, and on the host."""
    stats: Mapping[str, int] | None = jax.local_devices()[0].memory_stats()
    of_device = stats["bytes_limit"] - stats["bytes_in_use"] if stats else None
    return of_device, int(psutil.virtual_memory().available)
