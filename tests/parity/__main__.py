"""The exam and the fuzzer by hand.

``python -m tests.parity 1000 --seed 0`` draws so many models; ``python -m tests.parity exam NAME ...`` examines named
ones, all where none is named, a line each.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from orchestrator.training.keras_setup import set_up_keras


def exam(names: Sequence[str]) -> None:
    """Print a line a model."""
    from tests.parity.cases import EXAM, REPORTED
    from tests.parity.exam import examine

    cases = {**EXAM, **REPORTED}
    for name in names or cases:
        began = time.process_time()
        with tempfile.TemporaryDirectory() as place:
            try:
                found = examine(cases[name], Path(place))
            except Exception as error:  # noqa: BLE001 (it is printed)
                found = {"plain Keras": f"{type(error).__name__}: {str(error)[:300]}"}
        print(
            f"{name} ({time.process_time() - began:.1f} s of CPU): {found or 'equal'}", flush=True
        )


def fuzz(count: int, seed: int, first: int, shrinks: bool) -> None:
    """Print what differs, and at the end how many were tried."""
    from tests.parity.fuzz import search
    from tests.parity.grammar import draw

    tried = equal = 0
    samples = ((number, draw(seed, number)) for number in range(first, first + count))
    for number, finding in search(samples, float("inf"), shrinks):
        tried += 1
        equal += finding is None
        if finding is not None:
            print(f"--- seed {seed}, {finding}", flush=True)
        if tried % 50 == 0:
            print(f"{tried} tried to number {number}: {equal} equal", flush=True)
    print(f"{count} drawn, {tried} that Keras trains: {equal} equal, {tried - equal} differ")


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.parity", description=__doc__)
    parser.add_argument("what", nargs="*", default=["1000"], help="a number, or exam and names")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first sample")
    parser.add_argument("--no-shrink", action="store_true")
    given = parser.parse_args()
    set_up_keras(1)
    if given.what[0] == "exam":
        exam(given.what[1:])
    else:
        fuzz(int(given.what[0]), given.seed, given.first, not given.no_shrink)


if __name__ == "__main__":
    main()
