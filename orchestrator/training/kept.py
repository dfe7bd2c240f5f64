"""A winner whose model Keras cannot save: its weights, and how the model around them is built again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.catalog import CallableReference
from orchestrator.errors import RecordError
from orchestrator.redaction import redacted, restored
from orchestrator.training.around import Around
from orchestrator.training.task import Kind, Shape

if TYPE_CHECKING:
    from orchestrator.training.compiling import Built

WEIGHTS = "model.weights.h5"
RECIPE = "model.json"


@dataclass(frozen=True)
class ModelRecipe:
    """What a builder was called with, and what lies around its model; ``units`` is its third argument."""

    given: Mapping[str, Any]
    seed: int
    units: int
    kind: Kind | None
    around: Around

    def build(self, reference: CallableReference) -> Built:
        """Return the model, freshly built."""
        from orchestrator.training.compiling import build_model

        shape = Shape(self.around.shape, self.units)
        return build_model(reference, self.given, self.seed, shape, self.kind)

    def keep(self, model: Any, folder: Path) -> None:
        """Write a model's weights, and this, into a folder."""
        model.save_weights(folder / WEIGHTS)
        plain = {
            "hyperparameters": dict(self.given),
            "seed": self.seed,
            "units": self.units,
            "kind": self.kind,
            "around": self.around.to_plain(),
        }
        (folder / RECIPE).write_text(json.dumps(redacted(plain)) + "\n", encoding="utf-8")


def are_kept(folder: Path) -> bool:
    """Return whether a folder holds weights and how the model is built."""
    return (folder / WEIGHTS).is_file() and (folder / RECIPE).is_file()


def rebuilt(folder: Path, reference: CallableReference) -> Any:
    """Return the model whose weights a folder holds, built anew by its builder, with all around it.

    Raises RecordError where the weights are not those of what the builder builds now.
    """
    from orchestrator.training.portable import portable

    plain = restored(json.loads((folder / RECIPE).read_text(encoding="utf-8")))
    around = Around.from_plain(plain["around"])
    given, seed = plain["hyperparameters"], plain["seed"]
    model = ModelRecipe(given, seed, plain["units"], plain["kind"], around).build(reference).model
    try:
        model.load_weights(folder / WEIGHTS)
    except (ValueError, KeyError, OSError) as error:
        said = str(error).strip().splitlines()
        raise RecordError(
            f"{folder / WEIGHTS}: expected weights of the model that {reference.text} builds."
            f" Received: others ({said[0] if said else type(error).__name__}); has its code changed since?"
        ) from None
    return portable(model, around)
