"""A run that can be asked for its table, its epochs and its model, and watched while another process drives it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.catalog import CallableReference
from orchestrator.control import RunControl
from orchestrator.errors import OrchestratorError
from orchestrator.records import (
    GIVEN_UP,
    Event,
    RunFolder,
    RunRecords,
    RunState,
    SeenDriver,
    Standing,
    read_run,
    see_driver,
)
from orchestrator.records.heartbeat import standing, waits_told
from orchestrator.records.reader import Follower

if TYPE_CHECKING:
    import pandas as pd  # noqa: TID251 (a type alone)

    from orchestrator.analysis import Finding, Importance
    from orchestrator.experiment.export import ExportedWinner
    from orchestrator.experiment.next_space import NextSpace
    from orchestrator.report import Plots, View
    from orchestrator.search.selection_bias import Corrected


@dataclass(frozen=True)
class Best:
    """The winner: its trial, hyperparameters, best epoch and value, and scores of the final model.

    ``corrected`` is the value corrected for having been picked, None where nothing was or its noise is not known.
    """

    trial: str
    epoch: int
    value: float
    hyperparameters: dict[str, Any]
    validation: dict[str, float] | None
    test: dict[str, float] | None
    corrected: Corrected | None = None
    metric: str = "value"

    def __repr__(self) -> str:
        """Return it as a few lines: the trial and its value, its scores, its hyperparameters."""
        from orchestrator.report.formatting import assignments, number

        lines = [
            f"Best: trial {self.trial}, epoch {self.epoch}, {self.metric} {number(self.value)}"
        ]
        if self.corrected is not None:
            likely = self.corrected
            between = f"({number(likely.low)} to {number(likely.high)})"
            lines.append(f"corrected: {number(likely.value)} {between}")
        for name in ("validation", "test", "hyperparameters"):
            if found := getattr(self, name):
                lines.append(f"{name}: {assignments(found)}")
        return "\n  ".join(lines)


class Coarse:
    """What a run is asked of how its space became, or may become, finer."""

    @property
    def records(self) -> RunRecords:
        """Everything recorded."""
        raise NotImplementedError

    def rounds(self) -> pd.DataFrame:
        """Return how each round's ranges moved and why: one row for each round from the second and hyperparameter."""
        from orchestrator.report import rounds_table

        return rounds_table(self.records)

    def narrow(self) -> NextSpace:
        """Return the search space that follows from the run's trials, and what each of its ranges moved by.

        ``run.narrow().search_space`` is the ``search_space`` of a next run. Raises RecordError for a panda.
        """
        from orchestrator.experiment.next_space import narrowed

        return narrowed(self.records)


class Explained:
    """What a run's records say of why it came out as it did."""

    @property
    def records(self) -> RunRecords:
        """Everything recorded."""
        raise NotImplementedError

    def importance(self) -> Importance:
        """Return which hyperparameters mattered, with intervals; the same for the same records.

        Raises RecordError for a panda and for fewer trials than can tell.
        """
        from orchestrator.analysis import importance

        return importance(self.records)

    def diagnose(self) -> tuple[Finding, ...]:
        """Return what stands out, what matters most first, each with its numbers and with what to type next."""
        from orchestrator.analysis import diagnose

        return diagnose(self.records)

    def report(self, file: str | Path | None = None) -> Path:
        """Write the run's page for a browser, with what mattered, and return its file: ``report.html`` in its folder.

        That takes seconds. Raises OSError where it cannot be written.
        """
        from orchestrator.report import write_report

        where = self.records.folder.report_file if file is None else Path(file)
        write_report([self.records], where, thorough=True)
        return where

    def card(self, licence: str | None = None) -> str:
        """Return the winner's model card as Markdown; ``licence`` in place of the experiment's.

        Raises RecordError where no trial has a finite value.
        """
        from orchestrator.report import model_card

        return model_card(self.records, licence)

    @property
    def plot(self) -> Plots:
        """The run's figures: ``run.plot.curves()`` and the like, Matplotlib's, for notebooks and papers."""
        from orchestrator.report import Plots

        return Plots(self.records)

    def _repr_html_(self) -> str:
        """Return the run as a notebook shows it: its state, its best, its first trials."""
        from orchestrator.report import card

        return card(self.records)


class Usable:
    """What a run's winner is used for: rows that it answers for, and files that are taken elsewhere."""

    builder: CallableReference | None

    @property
    def records(self) -> RunRecords:
        """Everything recorded."""
        raise NotImplementedError

    @property
    def model_file(self) -> Path:
        """The winner's model. Raises RecordError where no winner was examined, or its model is not as it was saved."""
        from orchestrator.experiment.winner import model_file

        return model_file(self.records)

    def load_model(self, model: Any = None) -> Any:
        """Return the winner as a keras.Model that takes raw rows; loaded in Keras's safe mode.

        Classes that Keras does not know are those of the model's own file. Where Keras could not save the model it is
        built again around the weights that were kept; ``model`` is the function that built it, of a run that was given
        one in Python (or ``{"keras_tuner": build_model}``). Raises RecordError where neither can be.
        """
        from orchestrator.experiment.given import given_objects
        from orchestrator.experiment.winner import load_winner

        key = "trial" if isinstance(model, Mapping) else "model"
        builder = self.builder if model is None else given_objects(**{key: model}).builder
        return load_winner(self.records, builder)

    def predict(self, x: Any, calibrated: bool = False) -> pd.DataFrame:
        """Return what the winner says of rows: one row each, a class and its probabilities, flags, or quantities.

        ``x`` is what training takes, without labels or with them: a frame, an array, a dictionary of arrays by input or
        of a table's columns, a tf.data.Dataset, the path of a .csv, .parquet, .npz or .npy file, of a picture or of a
        folder of them, or a function as ``./load.py:new``. ``calibrated``: probabilities with the temperature that
        was fitted on the validation rows. Raises DataError for rows that do not fit, RecordError where there is no
        temperature.
        """
        from orchestrator.experiment.winner import predict

        return predict(self.records, self.builder, x, calibrated)

    def export(
        self, to: str | Path, overwrite: bool = False, calibrated: bool = False
    ) -> ExportedWinner:
        """Write the winner in the format of ``to``'s ending: .keras, .tflite, .onnx, .pt2, a folder for a SavedModel.

        The file takes raw rows, and is kept if it answers as the winner does on 100 rows. Raises RecordError where it
        does not, or there is no winner; PlaceError where a package is missing, or ``to`` is there already.
        """
        from orchestrator.experiment.export import export_model

        return export_model(self.records, to, overwrite, calibrated, self.builder)


class Run(RunControl, Coarse, Explained, Usable):
    """A run's folder, read when asked; ``reload`` after it continued.

    Damaged lines of its records are left out with a warning; where it is to be ``exact`` they are a RecordError.
    ``builder`` is the model's, where it was given in Python.
    """

    def __init__(
        self, folder: RunFolder, exact: bool = False, builder: CallableReference | None = None
    ) -> None:
        self.folder = folder
        self._exact = exact
        self.builder = builder

    def __repr__(self) -> str:
        """Return in a line what became of it, in others its best and where it lies."""
        try:
            records, best = self.records, self.best
        except OrchestratorError as error:
            return f"Run in {self.path}: {error}"
        trials = len(records.trials)
        lines = [f"Run {records.name}: {records.status}, {trials} trial{'s' * (trials != 1)}"]
        lines += [repr(best).splitlines()[0]] if best else []
        return "\n  ".join([*lines, f"in {self.path}"])

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.folder.path

    @cached_property
    def records(self) -> RunRecords:
        """Everything recorded."""
        return read_run(self.folder.path, exact=self._exact)

    @property
    def name(self) -> str:
        """The run's name."""
        return self.records.name

    @property
    def status(self) -> str:
        """running, paused, interrupted, finished or stuck."""
        return self.records.status

    @property
    def since(self) -> str | None:
        """Since when the run has had this status (UTC); None where that is not known."""
        return self.records.standing.since

    @property
    def succeeded(self) -> bool:
        """Whether a trial of the newest group succeeded: finished or stopped early, with a finite value."""
        from orchestrator.experiment.winner import succeeded

        return succeeded(self.records)

    @property
    def given_up(self) -> bool:
        """Whether the run ended because too many of its trials failed."""
        return self.status == "finished" and (self.records.standing.reason or "").startswith(
            GIVEN_UP
        )

    def reload(self) -> Run:
        """Return the run as it is on disk now."""
        return Run(self.folder, builder=self.builder)

    def table(self, replicates: bool = False) -> pd.DataFrame:
        """Return one row a configuration, best first; with ``replicates``, one row for each of them too."""
        from orchestrator.report import trials_table

        return trials_table(self.records, replicates)

    def epochs(self) -> pd.DataFrame:
        """Return one row an epoch of a trial."""
        from orchestrator.report import epochs_table

        return epochs_table(self.records)

    def curves(self) -> pd.DataFrame:
        """Return the trials' learning curves, one row a trial and epoch, as ``simulate`` reads them."""
        from orchestrator.report.tables import to_frame
        from orchestrator.simulation import curve_columns

        return to_frame(curve_columns(self.records))

    @property
    def best(self) -> Best | None:
        """The best trial, None where no trial has a finite value."""
        from orchestrator.search.selection_bias import corrected_score

        trial = self.records.leader
        found = self.records.of(trial.trial).best if trial else None
        if trial is None or found is None:
            return None
        winner = self.records.winner or {}
        judged = winner if winner.get("trial") == trial.trial else {}
        return Best(
            trial.trial,
            found.epoch,
            found.value,
            dict(judged.get("hyperparameters") or trial.hyperparameters),
            judged.get("validation"),
            judged.get("test"),
            corrected_score(self.records),
            self.records.metric,
        )


def open_run(path: str | Path, storage: str | Path = "./runs") -> Run:
    """Return a run from its folder, or by its name below ``storage``."""
    return Run(RunFolder.open(path, storage))


LOOK_AGAIN_SECONDS = 1.0
_DRIVEN = ("running", "paused", "stuck")


def watch(run: str | Path | Run, storage: str | Path = "./runs") -> Run:
    """Show a run on stderr, as the process that drives it does, until no driver is left; return it.

    Ctrl-C stops watching, not the run. Raises UnknownNameError where there is no such run.
    """
    folder = run.folder if isinstance(run, Run) else RunFolder.open(run, storage)
    records = read_run(folder.path)
    if records.status not in _DRIVEN:
        return Run(folder)
    follower, state = Follower(folder), RunState(records.metric, records.mode, thin=True)
    with _view(records) as view:
        first: list[Event] = list(follower.read())
        view.take_up(first)
        said = None
        while True:
            for event in first:
                state.apply(event)
            seen = see_driver(folder)
            told = waits_told(state, seen.driver.heartbeat) if seen and seen.drives else []
            for event in told:
                state.apply(event)
            view.show(told)
            phase = _phase(seen)
            view.phase(phase)
            stands = standing(state.events, seen, None)
            is_phase = phase is not None and stands.reason == phase
            if (stands.state, stands.reason) != said and not is_phase:
                said = stands.state, stands.reason
                view.note(_words(stands))
            if stands.state not in _DRIVEN:
                return Run(folder)
            time.sleep(LOOK_AGAIN_SECONDS)
            first = follower.read()
            view.show(first)


def _view(records: RunRecords) -> View:
    """Return what shows a run on this terminal."""
    from orchestrator.report import open_panda_view, open_view
    from orchestrator.report.status_text import said_name

    if records.panda is not None:
        days = int(records.panda.get("days") or 1)
        run = said_name(str(records.folder.path), "runs")
        return open_panda_view(days, records.metric, records.mode, run=run, watching=True)
    epochs = int(records.experiment.get("epochs") or 1)
    planned = records.planned_trials
    return open_view(planned, epochs, records.metric, records.mode, watching=True)


def _phase(seen: SeenDriver | None) -> str | None:
    """Return what a run's driver says happens while nothing trains; None where it says nothing."""
    if seen is None or not seen.drives:
        return None
    heartbeat = seen.driver.heartbeat
    return heartbeat.doing or (heartbeat.reason if heartbeat.state == "running" else None)


def _words(stands: Standing) -> str:
    return f"{stands.state}: {stands.reason}" if stands.reason else stands.state
