"""A run's winner at work: loaded, and asked about further rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.catalog import CallableReference, find_model
from orchestrator.errors import DataError, OrchestratorError, RecordError
from orchestrator.experiment.answers import Learnt, answers
from orchestrator.experiment.recorded import recorded_experiment
from orchestrator.records import RunRecords
from orchestrator.records.run import effective_manifest

if TYPE_CHECKING:
    import pandas as pd  # noqa: TID251 (a type alone)

    from orchestrator.data.new_rows import TrainingForm
    from orchestrator.experiment.run import Run


def load_winner(run: Run, given: CallableReference | None = None) -> Any:
    """Return a run's winner as a keras.Model that takes raw rows; ``given`` is its builder where no file has it."""
    from orchestrator.training.keras_setup import quiet_tensorflow
    from orchestrator.training.saved_model import are_kept, load_model

    best = run.folder.best
    if run.records.experiment.get("trial"):
        _ = run.model_file  # raises
    builder = given or builder_of(run.records)
    if isinstance(builder, CallableReference) and are_kept(best) and not_saved(run.records):
        quiet_tensorflow()
        from orchestrator.training import saving

        return saving.load_winner(best, builder)
    file = run.model_file
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
        return find_model(experiment.model_name, experiment.folder)
    except OrchestratorError as error:
        return error


def predict(run: Run, x: Any) -> pd.DataFrame:
    """Return what a run's winner says of rows in any form that training takes. See Run.predict."""
    from orchestrator.data.new_rows import new_rows
    from orchestrator.report import predictions_table

    if not_saved(run.records) is None:
        _ = run.model_file  # raises where there is none, before anything is read
    form = form_of(run.records)
    rows = new_rows(x, form)
    model = load_winner(run, run.builder)
    from orchestrator.training.portable import predicted

    outputs = predicted(model, rows.batches, form.table)
    learnt = learnt_of(run.records)
    if not outputs.probabilities and learnt.own:
        learnt = replace(learnt, kind="regression" if learnt.kind == "regression" else None)
    return predictions_table(answers(outputs.by_name, learnt), rows.files)


def form_of(records: RunRecords) -> TrainingForm:
    """Return the form of the rows that a run's newest trials were trained on."""
    from orchestrator.data import TableRecipe
    from orchestrator.data.new_rows import TrainingForm
    from orchestrator.training.saved_model import shape_from_plain

    data = _data(records)
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
    data = _data(records)
    labels = data.get("labels") or {}
    task = (records.winner or {}).get("task") or {"kind": None, "own": True}
    return Learnt(task["kind"], task["own"], tuple(data.get("classes") or ()), labels.get("type"))


def _data(records: RunRecords) -> dict[str, Any]:
    return dict(effective_manifest(records).get("data") or {})
