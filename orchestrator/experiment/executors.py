"""What runs a plan's trials, Ray Tune or this process, and whether this machine has room for them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from orchestrator.errors import PlaceError, UnknownNameError, explain
from orchestrator.search import Plan

if TYPE_CHECKING:
    from orchestrator.trials import Trainable
    from orchestrator.tuning.protocol import Listener, Outcome, Sitting


SECONDS = 5.0
"""How long the cluster at RAY_ADDRESS may take to answer: Ray itself takes minutes to give up."""


PlaceCheck = Callable[[Plan], None]
"""Refuses a plan whose trials could not run where they are to."""


def check_place(plan: Plan) -> None:
    """Refuse a place that cannot hold a trial, or whose Ray cannot be joined."""
    check_resources(plan)
    check_ray_address()


def check_resources(plan: Plan) -> None:
    """Refuse a trial that this machine can never start; a cluster at RAY_ADDRESS is not known yet."""
    if os.environ.get("RAY_ADDRESS"):
        return
    cores = available_cores()
    if plan.cpus_per_trial > cores:
        raise PlaceError(
            f"resources.cpu: expected at most the {cores} cores of this machine. Received: {plan.cpus_per_trial:g}."
        )
    gpus = visible_gpus()
    if plan.gpus_per_trial > gpus:
        raise PlaceError(
            f"resources.gpu: expected at most the {gpus} GPUs of this machine. Received: {plan.gpus_per_trial:g}."
        )


def visible_gpus() -> int:
    """Return the NVIDIA GPUs of this machine, as CUDA_VISIBLE_DEVICES shows them."""
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    present = (
        len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
        if Path("/proc/driver/nvidia/gpus").exists()
        else 0
    )
    if shown is None:
        return present
    return min(
        present, len([device for device in shown.split(",") if device.strip() not in ("", "-1")])
    )


def available_cores() -> int:
    """Return the cores this process may use; in a job of Slurm those that it was given, bound to them or not."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    given = os.environ.get("SLURM_CPUS_ON_NODE", "")
    return min(cores, int(given)) if given.isdecimal() and int(given) else cores


def check_ray_address() -> None:
    """Raise PlaceError where ``RAY_ADDRESS`` names no cluster that can be joined, or no Ray can start here."""
    from orchestrator.tuning.ray_limits import check_answers

    address = check_ray_form()
    if address.rpartition(":")[0] and not address.startswith("ray://"):
        check_answers(address)


def check_ray_form() -> str:
    """Return ``RAY_ADDRESS``, "" for a Ray that is to start here.

    Raises PlaceError where nothing listens there, or a limit or folder of this process keeps Ray from starting.
    """
    from orchestrator.tuning.ray_limits import check_form, check_local

    address = os.environ.get("RAY_ADDRESS", "")
    if address in ("", "local"):
        check_local()
        return ""
    check_form(address)
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host:
        return address
    try:
        socket.create_connection((host.strip("[]"), int(port)), SECONDS).close()
    except (OSError, OverflowError, UnicodeError) as error:
        expected = "expected the address of a Ray cluster that runs"
        raise PlaceError(explain("RAY_ADDRESS", expected, f"{address}: {error}")) from None
    return address


class RunPlan(Protocol):
    """Runs every trial of a plan, tells the listener what happens, and has the winner examined."""

    def __call__(
        self, plan: Plan, job: Trainable, listener: Listener, sitting: Sitting, /
    ) -> Outcome:
        """Return how it went."""


@dataclass(frozen=True)
class Executor:
    """``check_place`` refuses a plan that could not run; ``uses_terminal`` says that trials print and read there."""

    run_plan: RunPlan
    check_place: PlaceCheck
    begins: str
    uses_terminal: bool = False


ExecutorName = Literal["tune", "inline"]


def find_executor(asked: ExecutorName | RunPlan) -> Executor:
    """Return an executor by its name, or one that runs plans by the function given."""
    if callable(asked):
        return Executor(asked, lambda plan: None, "training")
    if asked not in EXECUTORS:
        raise UnknownNameError(
            explain("executor", "expected how trials are run", asked, list(EXECUTORS))
        )
    return EXECUTORS[asked]


def _run_on_tune(plan: Plan, job: Trainable, listener: Listener, sitting: Sitting) -> Outcome:
    from orchestrator.tuning.tune import run_plan  # Ray takes a second to import

    return run_plan(plan, job, listener, sitting)


def _run_inline(plan: Plan, job: Trainable, listener: Listener, sitting: Sitting) -> Outcome:
    from orchestrator.tuning.inline import run_plan

    return run_plan(plan, job, listener, sitting)


EXECUTORS = {
    "tune": Executor(_run_on_tune, check_place, "starting Ray for"),
    "inline": Executor(_run_inline, lambda plan: None, "in this process:", uses_terminal=True),
}
