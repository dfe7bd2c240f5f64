"""A run's experiment from its records, how another one differs from it, and what would set further trials apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from orchestrator.config import Experiment, parse_experiment
from orchestrator.config.references import as_written
from orchestrator.domains import Space
from orchestrator.errors import ExperimentFileError
from orchestrator.records import RunRecords, TrialRecord
from orchestrator.records.run import effective_manifest, sources_of, with_changes
from orchestrator.schedulers import PbtOptions
from orchestrator.training.decay import looks_ahead
from orchestrator.training.keras_setup import settings_file


def recorded_experiment(records: RunRecords) -> Experiment:
    """Return the experiment of a run, wherever its folder lies now."""
    return _here(records.experiment, records)


def begun_experiment(records: RunRecords) -> Experiment | None:
    """Return what a run began with and what extensions made of it; None where the manifest does not hold that."""
    begun = records.manifest.get("experiment")
    if not isinstance(begun, dict):
        return None
    return _here(with_changes(begun, records.state.extensions), records)


def _here(content: Mapping[str, Any], records: RunRecords) -> Experiment:
    place = {"storage_path": str(records.folder.path.parent)}
    experiment = parse_experiment({**_as_of_then(content), **place})
    return experiment.at(sources_of(records))


def _as_of_then(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a recorded experiment with what an option that it lacks was then: asha promoted no one."""
    caviar = content.get("caviar")
    scheduler = caviar.get("scheduler") if isinstance(caviar, Mapping) else None
    options = scheduler.get("asha") if isinstance(scheduler, Mapping) else None
    if not isinstance(options, Mapping) or "promote" in options:
        return content
    scheduler = {"asha": {**options, "promote": False}}
    return {**content, "caviar": {**content["caviar"], "scheduler": scheduler}}


Changes = dict[str, tuple[Any, Any]]
LEFT_OPEN = {"metric": "auto", "mode": None, "caviar.points": "auto"}
_SAME = object()


def check_stands_alone(records: RunRecords) -> None:
    """Raise ExperimentFileError for a run whose trials began from one another's states: none can be had again alone."""
    if isinstance(recorded_experiment(records).caviar.scheduler, PbtOptions):
        raise ExperimentFileError(
            f"{records.name}: expected a run whose trials stand alone. Received: one of scheduler pbt, whose trials go"
            " on from one another at intervals. Start a run of another name, with what it lacks."
        )


def changes_between(old: Experiment, new: Experiment, space: Space) -> Changes:
    """Return {key: (old, new)} of what differs, the search space as one; ``space`` is the new one.

    A metric or a direction that is left to be found out is the one that was found.
    """
    before = flat_values(old)
    if isinstance(old.search_space, dict):
        drawn_from = Space.parse(old.search_space).to_document()
        before = flat_values(old.model_copy(update={"search_space": drawn_from}))
    after = flat_values(new.model_copy(update={"search_space": space.to_document()}))
    return {
        key: (before.get(key), after.get(key))
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key) and after.get(key) != LEFT_OPEN.get(key, _SAME)
    }


def flat_values(experiment: Experiment) -> dict[str, Any]:
    """Return an experiment's values by their keys, one level of sections opened; references stay references."""
    flat: dict[str, Any] = {}
    for key, value in as_written(experiment.model_dump(), experiment.references).items():
        if isinstance(value, dict) and key != "search_space":
            flat |= {f"{key}.{name}": inner for name, inner in value.items()}
        else:
            flat[key] = value
    return flat


JUDGED_BY = ("metric", "mode", "task", "callbacks")
SPLIT_BY = (
    *("label", "validation", "test", "scale", "drop", "missing", "columns", "sample_weight"),
    *("class_weight", "decimal", "header", "groups", "order", "folds"),
    *("steps_per_epoch", "validation_steps", "image_size"),
)
FINGERPRINT = 12  # characters of it that are shown


def unlike_conditions(
    records: RunRecords, old: Experiment, new: Experiment, now: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return a few words on each thing by which the newest trials and further ones would be told apart.

    ``now`` is what the manifest would say now of data, model and Keras's settings.
    """
    return (
        *_values("", JUDGED_BY, old, new),
        *_averages(old, new),
        *(_values("data.", SPLIT_BY, old.data, new.data) if old.data and new.data else ()),
        *(said for _, said in unlike_surroundings(records, now)),
    )


def unlike_first_epochs(records: RunRecords, old: Experiment, new: Experiment) -> tuple[str, ...]:
    """Return a few words where there are more epochs, and trials whose learning rate depended on how many."""
    before, after = last_epoch_of(old), last_epoch_of(new)
    looking = [trial.trial for trial in records.trials if _looks_ahead(trial, records)]
    if before == after or not looking:
        return ()
    others = f" and {len(looking) - 1} more" if looking[1:] else ""
    return (
        f"learning rates that look ahead to the last epoch, {before} -> {after}"
        f" (decay_schedule cosine in trial {looking[0]}{others})",
    )


def _values(prefix: str, keys: Iterable[str], old: Any, new: Any) -> Iterator[str]:
    for key in keys:
        if getattr(old, key) != getattr(new, key):
            yield _differs(f"{prefix}{key}", getattr(old, key), getattr(new, key))


def _averages(old: Experiment, new: Experiment) -> Iterator[str]:
    """Say how validations differ; what becomes of the winner alone sets no trial apart."""
    if "every_validation" in (old.recalibrate_batch_norm, new.recalibrate_batch_norm):
        yield from _values("", ("recalibrate_batch_norm",), old, new)


def unlike_surroundings(
    records: RunRecords, now: Mapping[str, Any]
) -> tuple[
    tuple[Literal["trial", "data", "model", "callbacks", "searcher", "scheduler", "settings"], str],
    ...,
]:
    """Return (what, a few words) on data, code and Keras's settings that are not those of the newest trials.

    What an older manifest does not tell is left out.
    """
    before = effective_manifest(records)
    return (
        *(("trial", said) for said in _changed("trial", before, now)),
        *(("trial", said) for said in _asked(before.get("trial") or {}, now.get("trial") or {})),
        *(("data", said) for said in _data(before.get("data") or {}, now.get("data") or {})),
        *(("model", said) for said in _model(before.get("model") or {}, now.get("model") or {})),
        *(("callbacks", said) for said in _callbacks(before.get("callbacks"), now)),
        *(("searcher", said) for said in _changed("searcher", before, now)),
        *(("scheduler", said) for said in _changed("scheduler", before, now)),
        *(
            ("settings", said)
            for said in _settings(before.get("keras") or {}, now.get("keras") or {})
        ),
    )


def _data(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Say how data differ; a stream is not known by its content alone: its code says what comes when."""
    old, new = before.get("fingerprint"), now.get("fingerprint")
    files = _files(before, now)
    if old not in (None, new):
        prints = _differs("data (fingerprint)", str(old)[:FINGERPRINT], str(new)[:FINGERPRINT])
        yield f"{prints} (changed: {files})" if files else prints
    elif now.get("streamed") and files:
        yield f"code of data {now['source']} (changed: {files})"
    if before.get("rows") not in (None, now.get("rows")):
        yield _differs("data (rows)", _rows(before["rows"]), _rows(now["rows"]))


def _rows(splits: Mapping[str, int]) -> str:
    return ", ".join(f"{rows} {part}" for part, rows in splits.items())


def _model(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    old, new = before.get("fingerprint"), now.get("fingerprint")
    if "files" not in before and now:  # of a run whose manifest knows the model's own file alone
        new = next(iter(now["files"].values()), new)
    if old in (None, new):
        return
    yield _code("model", {**before, "fingerprint": old}, {**now, "fingerprint": new})


def _callbacks(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> Iterator[str]:
    new = now.get("callbacks")
    if before is None or new is None or before.get("fingerprint") == new["fingerprint"]:
        return
    yield _code("callbacks", before, new)


def _changed(what: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Say how the code of a class differs; another class is the experiment's to have, from an extension on."""
    old, new = before.get(what), now.get(what)
    if old is None or new is None or old.get("reference") != new["reference"]:
        return
    if old.get("fingerprint") != new["fingerprint"]:
        yield _code(what, old, new)


def _asked(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Say which ranges differ that the trials' code asks for itself."""
    old, new = before.get("asked") or {}, now.get("asked") or {}
    for name in old.keys() & new.keys():
        if old[name] != new[name]:
            yield _differs(f"{name} of trial {now['reference']}", old[name], new[name])


def _code(what: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Say how two functions of the user's differ: in where they are, else in their code."""
    if before.get("reference") != now["reference"]:
        return _differs(what, before.get("reference"), now["reference"])
    prints = (str(before["fingerprint"])[:FINGERPRINT], str(now["fingerprint"])[:FINGERPRINT])
    said = _differs(f"code of {what} {now['reference']} (fingerprint)", *prints)
    files = _files(before, now)
    return f"{said} (changed: {files})" if files else said


def _files(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return the names of files of code that changed, came or went; empty where an older manifest has none."""
    if "files" not in before:
        return ""
    old, new = before["files"], now["files"]
    return ", ".join(name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name))


def _settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name, value in now.items():
        if name in before and before[name] != value:
            what = name if name == "backend" else f"{name} in {settings_file()}"
            yield _differs(what, before[name], value)


def last_epoch_of(experiment: Experiment) -> int:
    """Return the epoch that schedules look ahead to: a panda's are those of its days."""
    return experiment.strategy_options.last_epoch(experiment.epochs)


def _looks_ahead(trial: TrialRecord, records: RunRecords) -> bool:
    if trial.group < records.state.group:
        return False
    days = [day.get("hyperparameters") or {} for day in records.of(trial.trial).days]
    return any(map(looks_ahead, [trial.hyperparameters, *days]))


def _differs(what: str, old: Any, new: Any) -> str:
    return f"{what}: {old} -> {new}"
