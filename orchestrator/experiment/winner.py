"""A run's winner: loaded, asked about further rows, exported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.catalog import CallableReference
from orchestrator.errors import DataError, OrchestratorError, RecordError
from orchestrator.experiment.compatibility import recorded_experiment
from orchestrator.experiment.kinds.keras_experiment import model_of
from orchestrator.records import RunRecords, model_is_as_saved
from orchestrator.records.run import effective_manifest

if TYPE_CHECKING:
    import pandas as pd  # noqa: TID251 (a type alone)

    from orchestrator.data.new_rows import TrainingForm
    from orchestrator.training.calibration import Tempering


def succeeded(records: RunRecords) -> bool:
    """Return whether a trial of the newest group got through: finished or stopped in time, with a finite value."""
    return any(trial.status in ("finished", "stopped") for trial in records.contenders)


def model_file(records: RunRecords) -> Path:
    """Return the winner's model. Raises RecordError where none was examined, or it is not as it was saved."""
    file = records.folder.best / "model.keras"
    if not model_is_as_saved(records):
        found = "another content" if file.exists() else "no file"
        raise RecordError(
            f"{file}: expected the winner's model as it was saved. Received: {found}."
            f" 'orchestrator resume {records.folder.path}' saves it again from its checkpoint."
        )
    if not file.exists():
        why = not_saved(records) or _no_winner(records)
        raise RecordError(f"{file}: expected the winner's model. Received: {why}")
    return file


def _no_winner(records: RunRecords) -> str:
    if not records.has_keras_models:
        kept = records.folder.best / "checkpoint"
        where = (
            f"in {kept}, which its own code loads" if kept.is_dir() else "and saved no state of it"
        )
        return f"a run whose trials call {records.experiment['trial']}, which keeps its model itself, {where}."
    failed = sum(trial.status == "failed" for trial in records.trials)
    if records.status == "finished" and failed and not succeeded(records):
        return f"a run without one: {failed} of its trials failed. 'orchestrator show {records.folder.path}' says why."
    return f"a run that is {records.status}, without one."


def load_winner(records: RunRecords, given: CallableReference | None = None) -> Any:
    """Return a run's winner as a keras.Model that takes raw rows; ``given`` is its builder where no file has it."""
    from orchestrator.training.keras_setup import BACKEND, choose_backend, is_installed
    from orchestrator.training.saved_model import are_kept, load_model

    best = records.folder.best
    if not records.has_keras_models:
        model_file(records)  # raises
    backend = str(records.experiment.get("backend") or BACKEND)
    if is_installed(backend):  # a file of Keras's loads on any
        choose_backend(backend)
    builder = given or builder_of(records)
    if isinstance(builder, CallableReference) and are_kept(best) and not_saved(records):
        from orchestrator.training import saving

        return saving.load_winner(best, builder)
    file = model_file(records)
    reference = builder if isinstance(builder, CallableReference) else None
    try:
        return load_model(file, reference)
    except (TypeError, ValueError, AttributeError, ImportError) as error:
        said = str(error).strip().splitlines()
        beside = "" if reference else f" {builder}"
        raise RecordError(
            f"{file}: expected a model that Keras loads."
            f" Received: {said[0] if said else type(error).__name__}.{beside}"
        ) from error


def not_saved(records: RunRecords) -> str | None:
    """Return why the winner lies there as weights alone, None where it is a Keras file."""
    found = (records.winner or {}).get("not_saved")
    return str(found) if found else None


def builder_of(records: RunRecords) -> CallableReference | OrchestratorError:
    """Return the function that built a run's models, or why it is not to be found any more."""
    experiment = recorded_experiment(records)
    try:
        return model_of(experiment)
    except OrchestratorError as error:
        return error


def tempering_of(records: RunRecords) -> Tempering:
    """Return how a winner's outputs become calibrated probabilities. Raises RecordError where that is not known."""
    from orchestrator.training.calibration import Tempering

    found = (records.winner or {}).get("calibration") or {}
    value = found.get("temperature")
    if not isinstance(value, int | float) or not 0 < value < float("inf"):
        why = found.get("why_none") or (
            "a winner without one: it gives no probabilities of known labels, or was examined by a version that"
            " fitted none"
        )
        raise RecordError(
            f"--calibrated: expected a temperature fitted on the validation rows. Received: {why}."
        )
    flags = learnt_of(records).kind == "multilabel"
    return Tempering(float(value), flags, found.get("activation"))


def predict(
    records: RunRecords, builder: CallableReference | None, x: Any, calibrated: bool = False
) -> pd.DataFrame:
    """Return what a run's winner says of rows in any form that training takes. See Run.predict."""
    from orchestrator.data.new_rows import new_rows
    from orchestrator.report import predictions_table

    if not_saved(records) is None:
        model_file(records)  # raises where there is none, before anything is read
    how = tempering_of(records) if calibrated else None
    form = form_of(records)
    rows = new_rows(x, form)
    model = load_winner(records, builder)
    from orchestrator.training.portable import predicted

    outputs = predicted(model, rows.batches, form.table)
    if how is not None:
        one = {name: how.of(output) for name, output in outputs.by_name.items()}
        outputs = replace(outputs, by_name=one, probabilities=True)
    learnt = learnt_of(records)
    if not outputs.probabilities and learnt.own:
        learnt = replace(learnt, kind="regression" if learnt.kind == "regression" else None)
    return predictions_table(answers(outputs.by_name, learnt), rows.files)


def form_of(records: RunRecords) -> TrainingForm:
    """Return the form of the rows that a run's newest trials were trained on."""
    from orchestrator.data import TableRecipe
    from orchestrator.data.new_rows import TrainingForm
    from orchestrator.training.saved_model import shape_from_plain

    data = data_of(records)
    options = recorded_experiment(records).data_options
    table = data.get("table")
    if "input_shape" not in data:
        raise DataError(
            f"{records.name}: expected to know the rows of training. Received: nothing."
        )
    asked = {name for name, kind in options.columns.items() if kind == "number"}
    return TrainingForm(
        shape_from_plain(data["input_shape"]),
        TableRecipe.from_plain(table) if table else None,
        data.get("kind") == "folder",
        options.image_size is not None,
        frozenset(asked),
    )


def learnt_of(records: RunRecords) -> Learnt:
    """Return what is known of a winner's answers; of an older run, that its outputs may be classes."""
    data = data_of(records)
    labels = data.get("labels") or {}
    task = (records.winner or {}).get("task") or {"kind": None, "own": True}
    return Learnt(task["kind"], task["own"], tuple(data.get("classes") or ()), labels.get("type"))


def data_of(records: RunRecords) -> dict[str, Any]:
    """Return what a run notes of the data that its newest trials were trained on."""
    return dict(effective_manifest(records).get("data") or {})


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
