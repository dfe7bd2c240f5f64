"""Whether a plan can run on Ray here: its cores and GPUs, and whether anything listens where RAY_ADDRESS points."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

from orchestrator.errors import PlaceError, explain
from orchestrator.search import Plan

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
    """Raise PlaceError where ``RAY_ADDRESS`` names a host and port that no one answers at."""
    address = os.environ.get("RAY_ADDRESS", "")
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), SECONDS).close()
    except (OSError, OverflowError) as error:
        expected = "expected the address of a Ray cluster that runs"
        raise PlaceError(explain("RAY_ADDRESS", expected, f"{address}: {error}")) from None
