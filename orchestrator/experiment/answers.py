"""A model's outputs in the user's terms: columns of classes, probabilities, flags or quantities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.errors import DataError

MOST_COLUMNS = 10_000


@dataclass(frozen=True)
class Learnt:
    """What a model learned: ``kind`` as a Task has it, None where its loss does not tell.

    ``own``: its builder compiled it. ``type``: what the labels of classes were: whole, flag or text.
    """

    kind: str | None
    own: bool
    classes: tuple[str, ...]
    type: str | None

    @property
    def labels(self) -> Any:
        """The classes as the user's labels have them."""
        if self.type == "whole":
            return np.array([int(name) for name in self.classes])
        if self.type == "flag":
            return np.array([name == "True" for name in self.classes])
        return np.array(self.classes, dtype=object)


def answers(outputs: Mapping[str, Any], learnt: Learnt) -> dict[str, Any]:
    """Return columns by name: ``class`` and ``p(…)``, ``flag_0`` and ``p(flag_0)``, ``prediction``, or plain outputs.

    Raises DataError where that would be more columns than a table can have.
    """
    columns: dict[str, Any] = {}
    for name, output in outputs.items():
        if output.size > MOST_COLUMNS * len(output):
            raise DataError(
                f"predict: expected outputs of at most {MOST_COLUMNS:,} numbers a row."
                f" Received: {output.shape[1:]}. run.load_model().predict(...) returns them as an array."
            )
        rows = output.reshape(len(output), -1)
        if len(outputs) > 1 or output.ndim > 2:
            columns |= _numbered(name, output)
        else:
            columns |= _of_one(rows, learnt)
    return columns


def _of_one(rows: Any, learnt: Learnt) -> dict[str, Any]:
    """Return the columns of a model with one output (rows, units)."""
    units, classes = rows.shape[1], learnt.classes
    match learnt.kind:
        case "binary" if units == 1 and len(classes) == 2 and _stand_for_0_and_1(learnt):
            both = np.hstack([1 - rows, rows])
            return _classes(both, (rows[:, 0] > 0.5).astype(int), learnt, "p")
        case "multilabel":
            flags = {f"flag_{at}": (rows[:, at] > 0.5).astype(int) for at in range(units)}
            return flags | {f"p(flag_{at})": rows[:, at] for at in range(units)}
        case "regression" if units == 1:
            return {"prediction": rows[:, 0]}
        case "regression" if units != len(classes):
            return _numbered("prediction", rows)
    if units > 1 and units == len(classes):
        word = "p" if learnt.kind == "classification" else "output"
        return _classes(rows, rows.argmax(axis=1), learnt, word)
    return _numbered("output", rows)


def _stand_for_0_and_1(learnt: Learnt) -> bool:
    """Return whether a sigmoid's 0 and 1 are the two classes: numbers reach the loss of a compiled model as given."""
    return not learnt.own or learnt.type != "whole" or learnt.classes == ("0", "1")


def _classes(rows: Any, chosen: Any, learnt: Learnt, word: str) -> dict[str, Any]:
    values = {f"{word}({name})": rows[:, at] for at, name in enumerate(learnt.classes)}
    return {"class": learnt.labels[chosen], **values}


def _numbered(name: str, output: Any) -> dict[str, Any]:
    """Return a column for each number of a row: ``output``, ``output_0``, ``output_2_7``."""
    if output.ndim == 1 or output.size == len(output):
        return {name: output.reshape(len(output))}
    places = np.ndindex(*output.shape[1:])
    return {f"{name}_{'_'.join(map(str, at))}": output[(slice(None), *at)] for at in places}
