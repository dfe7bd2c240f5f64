"""A look at a user's model before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.catalog import CallableReference, UsersCode
from orchestrator.config.directions import Direction
from orchestrator.data import StreamedDataset
from orchestrator.training.compiling import build_model, compile_stock
from orchestrator.training.hyperparameters import DEFAULTS
from orchestrator.training.learner import AnyDataset
from orchestrator.training.reported import reported

ROWS = 4


def look_at(
    reference: CallableReference, hyperparameters: Mapping[str, Any], dataset: AnyDataset
) -> dict[str, Direction | None]:
    """Build and compile a model as a trial does and return what it reports of a validation, as ``reported`` has it.

    Raises TrialError where it cannot be built, or evaluates no rows of the data.
    """
    wanted = {**DEFAULTS, **hyperparameters}
    built = build_model(reference, wanted, 0, (dataset.input_shape, dataset.num_classes))
    one_hot = compile_stock(built, wanted)
    if isinstance(dataset, StreamedDataset):
        x, y = next(iter(dataset.train.batches(ROWS, None)))
    else:
        x, y = dataset.train.x[:ROWS], dataset.train.y[:ROWS]
    if one_hot:
        import keras

        y = keras.ops.one_hot(y, dataset.num_classes)
    with UsersCode(f"model {reference.text}", str(reference.file)):
        return reported(built.model, (x, y))
