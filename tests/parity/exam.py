"""The examination: one trial by plain Keras, and by ours fresh, warm, resumed and saved."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import tree

from tests.parity import plain
from tests.parity.case import SEED, Case, Trained, Trial
from tests.parity.ours import Ours


class Sensitive(Exception):
    """Ours differs from plain Keras, which differs from itself as soon as a weight is rounded: nothing is known."""


def examine(case: Case, place: Path) -> dict[str, str]:
    """Return each way in which ours differs from plain Keras, and how; nothing where all are equal.

    Raises whatever plain Keras raises: then the case itself is wrong; and Sensitive.
    """
    case.write(place)
    given = plain.load(place / case.files[1], case.data)()
    try:
        ours = Ours(case, place)
        rows = plain.Rows(given, {} if isinstance(given, dict) else ours.rows(given[0]))
    except Exception as error:  # noqa: BLE001 (whatever is raised is a difference)
        without_ours(case, place, given)
        said = _said(error)
        return {} if _well_refused(said, case) else {"prepared": said}
    expected = plain.train(case, place, ours.trial, rows, ours.outputs)
    found = compare(case, place, ours, expected, rows.of("validation")[0])
    if all(said.startswith(("epoch", "predictions differ")) for said in found.values()) and found:
        nudged = plain.train(case, place, ours.trial, rows, ours.outputs, nudge=1e-5)
        if differs(nudged, expected, case):
            raise Sensitive("plain Keras differs from itself where weights begin a rounding apart")
    return found


def without_ours(case: Case, place: Path, given: Any) -> None:
    """Train by plain Keras where ours refuses, so that a model that Keras refuses too is known."""
    whole = given["train"] if isinstance(given, dict) else given
    count = len(tree.flatten(plain.take(whole[0], slice(None)))[0])
    parts = {"train": np.arange(0, count, 2), "validation": np.arange(1, count, 2)}
    trial = Trial(case.hyperparameters, SEED, case.epochs)
    plain.train(case, place, trial, plain.Rows(given, parts), 3)


def compare(case: Case, place: Path, ours: Ours, expected: Trained, x: Any) -> dict[str, str]:
    """Train by ours in each way and compare."""
    worker, found = ours.trainer(), {}
    trial = ours.trial

    def fresh() -> str:
        return differs(ours.train(worker), expected, case)

    def saved() -> str:
        return trees_differ(ours.saved(worker, place, x), expected.served, case)

    def warm() -> str:
        for at, what in enumerate(case.before, 1):
            ours.before(worker, what, case, trial.seed + at)
        return differs(ours.train(worker), expected, case)

    def resumed() -> str:
        curve = ours.interrupted(worker, case.cut, place / "kept.npz")
        new = ours.trainer()
        ours.resume(new, place / "kept.npz")
        return differs(ours.finish(new, curve), expected, case)

    for way, run in (("fresh", fresh), ("saved", saved), ("warm", warm), ("resumed", resumed)):
        difference = "" if way in case.unseen else _attempt(run)
        if difference and not _well_refused(difference, case):
            found[way] = difference
        if not found.get("fresh", "epoch").startswith(("epoch", "predictions")):
            break  # what cannot be trained at all is nothing to go on with
    keras.config.set_dtype_policy("float32")
    return found


def _well_refused(said: str, case: Case) -> bool:
    """Return whether it is a refusal in a sentence of ours where that is as good as equality."""
    refused = said.startswith(("ExperimentFileError", "TrialError", "DataError"))
    return refused and bool(case.or_refuses) and case.or_refuses in said


def _attempt(run: Callable[[], str]) -> str:
    try:
        return run()
    except Exception as error:  # noqa: BLE001 (whatever is raised is a difference)
        return _said(error)


def differs(got: Trained, expected: Trained, case: Case) -> str:
    """Return the first difference, or nothing."""
    for epoch, (row, wanted) in enumerate(zip(got.curve, expected.curve, strict=True), 1):
        names = {name for name in row if name != "learning_rate" or name in wanted}
        if names != set(wanted):
            return f"epoch {epoch}: reports {sorted(names)} for {sorted(wanted)}"
        for name, value in wanted.items():
            if not np.isclose(row[name], value, rtol=case.rtol, atol=case.atol, equal_nan=True):
                return f"epoch {epoch}: {name} {row[name]:.7g} for {value:.7g}"
    return trees_differ(got.predictions, expected.predictions, case)


def trees_differ(got: Any, expected: Any, case: Case) -> str:
    """Return how predictions differ, or nothing."""
    left, right = (tree.flatten(_as_tuples(value)) for value in (got, expected))
    if [a.shape for a in left] != [a.shape for a in right]:
        return f"predictions of shape {[a.shape for a in left]} for {[a.shape for a in right]}"
    for a, b in zip(left, right, strict=True):
        if not np.allclose(a, b, rtol=10 * case.rtol, atol=10 * case.atol, equal_nan=True):
            return f"predictions differ by up to {np.abs(a - b).max():.3g}, at most {np.abs(b).max():.3g} large"
    return ""


def _as_tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _said(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "/orchestrator/" in f.filename]
    at = f" ({Path(ours[-1].filename).name}:{ours[-1].lineno})" if ours else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}{at}"
