"""What is used of Ray Tune, which is imported without Ray Data: a third of it, for trials over data sets of Ray's."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import ray

__all__ = ["FIFOScheduler", "Searcher", "TrialScheduler", "tune", "without_datasets"]

_DATA = "ray.data"


class _StandIn(ModuleType):
    """A package of whose names some are only mentioned."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


@contextlib.contextmanager
def without_ray_data() -> Iterator[None]:
    """Have ``import ray.data`` in the block find a package without contents, and afterwards the real one again."""
    if _DATA in sys.modules:
        yield
        return
    sys.modules[_DATA] = ray.data = _StandIn(_DATA)
    ray.data.__path__ = [str(Path(ray.__file__).with_name("data"))]
    try:
        yield
    finally:
        del sys.modules[_DATA], ray.data


with without_ray_data():
    from ray import tune
    from ray.tune.execution import experiment_state
    from ray.tune.schedulers import FIFOScheduler, TrialScheduler
    from ray.tune.search import Searcher


@contextlib.contextmanager
def without_datasets() -> Iterator[None]:
    """Have Tune's snapshots in the block look for no data set of Ray's: for that they would import all of Ray Data."""
    usual = experiment_state.out_of_band_serialize_dataset
    experiment_state.out_of_band_serialize_dataset = contextlib.nullcontext
    try:
        yield
    finally:
        experiment_state.out_of_band_serialize_dataset = usual
