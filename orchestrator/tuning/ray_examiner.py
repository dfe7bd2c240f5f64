"""A process of Ray's that has been asked to examine the winner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ray

from orchestrator.tuning.failures import Failure, of_a_task


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
            found: Mapping[str, Any] = ray.get(self.asked)
        except ray.exceptions.RayError as error:
            return of_a_task(error)
        return found
