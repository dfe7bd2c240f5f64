"""What Ray says of a worker: why it is gone, and what it found of the winner."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ray

from orchestrator.redaction import redact
from orchestrator.tuning.failures import Failure

_OUT_OF_MEMORY = re.compile(r"memory pressure|NODE_OUT_OF_MEMORY|running low on memory")
_NODE_LOST = re.compile(r"node (was|has|is) (dead|died|terminated|preempted)|its node has died")
_FACT = re.compile(r"(class_name|actor_id|pid|name|namespace|ip): ")


@dataclass(frozen=True)
class RayExaminer:
    """What was ``asked`` of it, and how to ``end`` it, whatever it is stuck in."""

    asked: Any
    end: Callable[[], object]

    def answer(self, seconds: float) -> Mapping[str, Any] | Failure | None:
        """Return the scores, or what befell the process; None where neither is known after ``seconds``."""
        if not ray.wait([self.asked], timeout=seconds)[0]:
            return None
        try:
            found: Mapping[str, Any] | Failure = ray.get(self.asked)
        except ray.exceptions.RayError as error:
            return lost(error)
        return found


def lost(error: BaseException | None) -> Failure:
    """Return the failure of a trial whose worker is gone."""
    said = redact(str(error or "the process ended")).strip()
    first = _telling_line(said)
    if isinstance(error, ray.exceptions.OutOfMemoryError) or _OUT_OF_MEMORY.search(said):
        return Failure("out_of_memory", f"out of memory: {first}", said)
    preempted = bool(getattr(error, "preempted", False))
    if isinstance(error, ray.exceptions.NodeDiedError) or preempted or _NODE_LOST.search(said):
        return Failure("node_lost", f"node lost: {first}", said)
    return Failure("worker_died", f"worker died: {first}", said)


def _telling_line(said: str) -> str:
    """Return the line in which Ray says why: not its first, that an actor died, nor the facts below that."""
    lines = [line.strip() for line in said.splitlines()]
    reasons = [line for line in lines[1:] if line and not _FACT.match(line)]
    return (
        reasons[0] if lines[0].startswith("The actor died unexpectedly") and reasons else lines[0]
    )
