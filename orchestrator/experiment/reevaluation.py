"""A finished run looked at again: its winner and challengers retrained on today's data, and what is to be done."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Unpack

from orchestrator.config import Experiment, to_yaml
from orchestrator.errors import DataError, ExperimentFileError, RecordError, RunExistsError, explain
from orchestrator.experiment.candidates import Candidate, candidates_of, incumbent_of
from orchestrator.experiment.compatibility import check_stands_alone, recorded_experiment
from orchestrator.experiment.data_profile import further_columns, same_form
from orchestrator.experiment.evidence import Evidence
from orchestrator.experiment.executors import Executor, ExecutorName, RunPlan, find_executor
from orchestrator.experiment.flow import run as run_experiment
from orchestrator.experiment.given import KEYS, Given, Objects, given_again, marks_in
from orchestrator.experiment.next_space import following_search
from orchestrator.experiment.prepared import Prepared, prepare_again
from orchestrator.experiment.retraining import FEWEST_SEEDS, MOST_SEEDS, Race, Retraining, told
from orchestrator.experiment.run import Run
from orchestrator.experiment.run_lease import Driving, driving
from orchestrator.records import (
    JsonLines,
    Pen,
    RunFolder,
    RunRecords,
    TrialRecord,
    read_run,
    write_atomically,
)
from orchestrator.records.lock.driver import now
from orchestrator.redaction import redacted

FOLDER = "reevaluations"
SEEDS = 5


class HowOrObjects(Objects, total=False):
    """How trials are run, whether their progress is shown, and the objects that a run needs again."""

    executor: ExecutorName | RunPlan
    progress: bool


@dataclass(frozen=True)
class Reevaluation:
    """What a re-evaluation came to; ``record`` is all of it, as the run's history holds it.

    ``following`` is the search that the decision asks for, None for keep.
    """

    record: Mapping[str, Any]
    folder: Path
    following: Experiment | None = None

    def __repr__(self) -> str:
        """Return what to do, and where the record of it lies."""
        return f"Reevaluation: {self.decision} (exit code {self.exit_code})\n  in {self.folder}"

    @property
    def decision(self) -> str:
        """Return keep, retune or search again."""
        return str(self.record["decision"])

    @property
    def exit_code(self) -> int:
        """Return the code that ``orchestrator reevaluate`` exits with: 0, 10 or 11."""
        return int(self.record["exit_code"])

    @cached_property
    def incumbent(self) -> Run:
        """The run of the retrained incumbent, whose winner can be exported and asked."""
        return Run(RunFolder(self.folder / "incumbent"))


def reevaluate(
    run: str | Path | Run,
    *,
    act: bool = False,
    seeds: int = SEEDS,
    storage: str | Path = "./runs",
    **more: Unpack[HowOrObjects],
) -> Reevaluation:
    """Retrain a run's winner and challengers on today's data with fresh seeds; record what follows and return it.

    ``data`` is where today's data are, as ``data.source`` has it, or the data themselves; left out, the run's own
    source is read again. Other objects: as for ``resume``. ``act`` starts the narrow search where the decision is to
    retune, a run of its own beside this one. Raises RecordError for a run without a winner or one that is
    in progress, ExperimentFileError for one that is babysat, DataError for data of another form.
    """
    objects: Objects = {key: more[key] for key in more if key not in ("executor", "progress")}  # type: ignore[literal-required,assignment]
    executor, progress = more.get("executor", "tune"), more.get("progress", True)
    if not FEWEST_SEEDS <= seeds <= MOST_SEEDS:
        expected = f"expected {FEWEST_SEEDS} to {MOST_SEEDS} seeds for each configuration"
        raise ExperimentFileError(explain("--seeds", expected, seeds))
    folder = run.folder if isinstance(run, Run) else RunFolder.open(run, storage)
    by = find_executor(executor)
    winner = check_can_be(read_run(folder.path, exact=True))
    # The run's own lock: nobody extends it meanwhile, and a second re-evaluation waits for its turn.
    with driving(folder) as driven:
        records = read_run(folder.path, exact=True)
        done = _Asked(records, winner, seeds, by, progress).done(driven, objects)
    if act and done.following is not None and done.decision == "retune":
        given = {key: value for key, value in objects.items() if not isinstance(value, str | Path)}
        run_experiment(done.following, (), progress, True, executor, **given)  # type: ignore[arg-type]
    return done


def check_can_be(records: RunRecords) -> TrialRecord:
    """Return the winner of a run that can be re-evaluated."""
    name, path = records.name, records.folder.path
    if records.status in ("running", "paused", "stuck"):
        raise RunExistsError(
            f"{name}: expected a run that is over. Received: one that is {records.status}. Wait for it, or stop it."
        )
    if records.panda is not None:
        raise ExperimentFileError(
            f"{name}: expected a run of strategy caviar, whose configurations can be trained anew. Received: a panda,"
            f" which is one model that was changed while it trained. 'orchestrator replay {path}' writes a file that"
            " trains it again through its changes; run that with --set data.source=NEW."
        )
    check_stands_alone(records)
    if records.status != "finished":
        raise RecordError(
            f"{name}: expected a finished run. Received: one that is {records.status}."
            f" 'orchestrator resume {path}' finishes it."
        )
    winner = incumbent_of(records)
    if winner is None:
        raise RecordError(
            f"{name}: expected a run with a winner. Received: none of its {len(records.trials)} trials has a finite"
            f" {records.metric}. 'orchestrator show {path}' says why."
        )
    return winner


@dataclass(frozen=True)
class _Asked:
    """A re-evaluation that was asked for."""

    records: RunRecords
    winner: TrialRecord
    seeds: int
    by: Executor
    progress: bool

    def done(self, driven: Driving, objects: Objects) -> Reevaluation:
        """Do it, and append it to the run's events."""
        records = self.records
        prepared, source, given = _today(records, objects, self.by)
        candidates = candidates_of(records, self.winner, prepared.space)
        number, place = self._place(prepared, source, candidates)
        retrained = self._retrained(prepared, number, place, candidates)
        following = following_search(records, prepared, number, retrained)
        record = {
            "number": number,
            "folder": f"{FOLDER}/{place.name}",
            **retrained,
            **Evidence(records, prepared, source, given.builder).to_plain(),
        }
        record["next"] = _next(records, place, following)
        record = dict(redacted(record))
        # The last thing written: killed before this line, a re-evaluation goes on; killed after it, it is over.
        with JsonLines(records.folder.events_file, Pen(driven.check)) as events:
            events.append({"event": "reevaluated", "time": now(), **record})
        return Reevaluation(record, place, following)

    def _place(
        self, prepared: Prepared, source: str | None, candidates: Sequence[Candidate]
    ) -> tuple[int, Path]:
        """Return the number and the folder: of one that was cut off where it asked for the same, else the next."""
        whole = self.records.folder.path / FOLDER
        done = {int(e["number"]) for e in self.records.events if e["event"] == "reevaluated"}  # type: ignore[typeddict-item]
        there = [int(each.name) for each in whole.glob("[0-9]*") if each.name.isdecimal()]
        last = max([0, *there, *done])
        asked = {
            "source": source,
            "seeds": self.seeds,
            "surroundings": prepared.trials.surroundings(),
            "configurations": [dict(each.hyperparameters) for each in candidates],
        }
        text = json.dumps(redacted(asked), sort_keys=True, default=str)
        file = whole / f"{last:03d}" / "asked.json"
        # What asked for other data, other code or other seeds is left as it lies, and never counts.
        if last and last not in done and file.is_file() and file.read_text() == text:
            return last, file.parent
        file = whole / f"{last + 1:03d}" / "asked.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, text)
        return last + 1, file.parent

    def _retrained(
        self, prepared: Prepared, number: int, place: Path, candidates: tuple[Candidate, ...]
    ) -> dict[str, Any]:
        """Return what retraining came to: all with two seeds, then those that may be better with all of them."""
        about = {"run": str(self.records.folder.path), "number": number}
        first, others = candidates[:1], candidates[1:]
        ours = Retraining(place, "incumbent", first, about)
        theirs = Retraining(place, "challengers", others, about)
        race = Race(prepared, self.by, self.progress, (ours, theirs), self.records)
        decision = race.run(self.seeds)
        return told(decision, candidates, race.scores, self.records)


def _today(
    records: RunRecords, objects: Objects, by: Executor
) -> tuple[Prepared, str | None, Given]:
    """Return the run's experiment on today's data, and where those are: None for the run's own source."""
    experiment = recorded_experiment(records)
    data = objects.get("data")
    others = {key: value for key, value in objects.items() if key != "data"}
    source = _source(data) if isinstance(data, str | Path) else None
    if data is not None and experiment.data is None:
        expected = "expected no data, since the run's trials call a function that has its own"
        raise ExperimentFileError(explain("--data", expected, source or type(data).__name__))
    given = given_again({**others, **({} if source or data is None else {"data": data})})
    if source is not None and experiment.data is not None:
        options = experiment.data.model_copy(update={"source": source})
        experiment = experiment.model_copy(update={"data": options})
    _check_given(records, given, source)
    prepared = _prepared(experiment, given, by)
    further = further_columns(records, prepared)
    if further and experiment.data is not None:
        from orchestrator.data.messages import notice  # with NumPy: not for --help

        # As predict does: a file that gains a column every other month is the same data.
        where = f"data {experiment.data.source}"
        notice(f"{where}: left out, since the run had no such column: {', '.join(further)}")
        options = experiment.data.model_copy(update={"drop": (*experiment.data.drop, *further)})
        experiment = experiment.model_copy(update={"data": options})
        prepared = _prepared(experiment, given, by)
    same_form(records, prepared)
    return prepared, source or (given.data.text if given.data else None), given


def _prepared(experiment: Experiment, given: Given, by: Executor) -> Prepared:
    """Return an experiment checked on today's data; of gaps it says what can be done, since no option can be set."""
    try:
        return prepare_again(experiment, given, by.check_place)
    except DataError as refusal:
        from orchestrator.data.table_fit import FILL_GAPS

        way = "The run has no rule for gaps: fill them in today's file, or leave those rows out."
        raise DataError(str(refusal).replace(FILL_GAPS, way)) from None


def _next(records: RunRecords, place: Path, following: Experiment | None) -> list[str]:
    """Return what to type next; a search that follows is written down as a file, where a file can say it."""
    lines = []
    if records.has_keras_models:
        lines.append(
            f"take the retrained model: orchestrator export {place / 'incumbent'} --to model.keras"
        )
    if following is None:
        return lines
    if marks_in(following.model_dump(include=set(KEYS))):
        return [*lines, "start the search that follows: orchestrator.reevaluate(..., act=True)"]
    file = place / "next.yaml"
    write_atomically(file, to_yaml(following))
    return [*lines, f"start the search that follows: orchestrator run {file}"]


def _source(data: str | Path) -> str:
    """Return where today's data are, as any folder can read it: a file's path made absolute."""
    path, _, function = str(data).partition(":")
    is_path = Path(path).expanduser().exists() or any(slash in path for slash in "/\\")
    if not is_path:
        return str(data)
    return str(Path(path).expanduser().resolve()) + (f":{function}" if function else "")


def _check_given(records: RunRecords, given: Given, source: str | None) -> None:
    """Refuse where what the run was given in Python is lacking."""
    there = {*given.keys, "data"} if source else given.keys
    absent = [key for key in marks_in(records.experiment) if key not in there]
    if absent:
        listed = ", ".join(f"{key}=..." for key in absent)
        raise ExperimentFileError(
            f"{records.name}: expected {' and '.join(absent)} again, given in Python when the run began and not kept in"
            f" its folder. Received: nothing. Call orchestrator.reevaluate({str(records.folder.path)!r}, {listed})."
        )
