"""What an extension asks for: a run's experiment with more trials, epochs or days, and other values of other keys."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict

from orchestrator.config import Document, Experiment, check, with_overrides
from orchestrator.config.references import as_written
from orchestrator.domains import Space
from orchestrator.errors import ExperimentFileError, explain
from orchestrator.experiment.recorded import recorded_experiment
from orchestrator.records import RunRecords

KEYS = {
    "num_samples": "caviar.num_samples",
    "epochs": "epochs",
    "scheduler": "caviar.scheduler",
    "days": "panda.days",
}
GROWING = ("caviar.num_samples", "epochs", "panda.days")
OF_STRATEGY = {"caviar": ("num_samples", "epochs", "scheduler"), "panda": ("days",)}
FIXED = ("name", "storage_path", "strategy", "seed")
FIXED_FOR_PANDA = (
    "epochs",
    "panda.start",
    "panda.from",
    "panda.day",
    "panda.learning_rate_test",
    "panda.schedule",
)

Changes = dict[str, tuple[Any, Any]]


class More(TypedDict, total=False):
    """How much longer a run becomes: a number is the new total, ``"+64"`` is on top; and by which scheduler."""

    num_samples: int | str | None
    epochs: int | str | None
    scheduler: str | Mapping[str, Any] | None
    days: int | str | None


@dataclass(frozen=True)
class Growth:
    """What was asked for: by name, and as ``key.path=value``."""

    more: Mapping[str, Any] = field(default_factory=dict)
    overrides: Sequence[str] = ()

    def of(self, records: RunRecords) -> tuple[Experiment, Experiment]:
        """Return a run's experiment as it was and as it is to be.

        Raises ExperimentFileError for what the experiment file refuses too, and for what is no growth.
        """
        old = recorded_experiment(records)
        asked = {name: value for name, value in self.more.items() if value is not None}
        self._check_strategy(asked, old)
        said = {name: _option(name, value) for name, value in asked.items()}
        forms = [f"{KEYS[name]}={_new(name, asked[name], old, said[name])}" for name in asked]
        content = {**records.experiment, "storage_path": old.storage_path}
        document = with_overrides(
            Document(records.folder.experiment_file, content), [*forms, *self.overrides]
        )
        flags: dict[tuple[str | int, ...], str] = {
            tuple(KEYS[name].split(".")): said[name] for name in asked
        }
        document = replace(document, origins={**document.origins, **flags})
        new = check(document).at(old.folder)
        _check_growth(old, new)
        return old, new

    def _check_strategy(self, asked: Mapping[str, Any], old: Experiment) -> None:
        """Refuse what the other strategy has."""
        for name, value in asked.items():
            if name not in OF_STRATEGY[old.strategy]:
                known = ", ".join(_option(known) for known in OF_STRATEGY[old.strategy])
                raise ExperimentFileError(
                    f"{_option(name, value)}: expected what a {old.strategy} can have more of. Known: {known}."
                )


LEFT_OPEN = {"metric": "auto", "mode": None}
_SAME = object()


def changes_between(old: Experiment, new: Experiment, space: Space) -> Changes:
    """Return {key: (old, new)} of what differs, the search space as one; ``space`` is the new one.

    A metric or a direction that is left to be found out is the one that was found.
    """
    before = _flat(old)
    if isinstance(old.search_space, dict):
        drawn_from = Space.parse(old.search_space).to_document()
        before = _flat(old.model_copy(update={"search_space": drawn_from}))
    after = _flat(new.model_copy(update={"search_space": space.to_document()}))
    return {
        key: (before.get(key), after.get(key))
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key) and after.get(key) != LEFT_OPEN.get(key, _SAME)
    }


def _flat(experiment: Experiment) -> dict[str, Any]:
    """Return an experiment's values by their keys, one level of sections opened; references stay references."""
    flat: dict[str, Any] = {}
    for key, value in as_written(experiment.model_dump(), experiment.references).items():
        if isinstance(value, dict) and key != "search_space":
            flat |= {f"{key}.{name}": inner for name, inner in value.items()}
        else:
            flat[key] = value
    return flat


def _check_growth(old: Experiment, new: Experiment) -> None:
    """Refuse another value of what cannot change, and less of what can only grow."""
    before, after = _flat(old), _flat(new)
    fixed = (*FIXED, *(FIXED_FOR_PANDA if old.strategy == "panda" else ()))
    for key in fixed:
        if before.get(key) != after.get(key):
            expected = (
                f"expected what the run began with, {before.get(key)!r}, which no extension changes"
            )
            raise ExperimentFileError(explain(key, expected, after.get(key)))
    for key in GROWING:
        if before.get(key) is not None and (after.get(key) or 0) < before[key]:
            raise ExperimentFileError(_no_growth(key, before[key], after.get(key)))


def _new(name: str, asked: Any, old: Experiment, said: str) -> str:
    """Return the value that was asked for, as ``--set`` takes it: a sum where it was ``+64``."""
    if name == "scheduler":
        return asked if isinstance(asked, str) else json.dumps(asked)
    before = int(_flat(old)[KEYS[name]])
    text = str(asked).strip()
    if not text.removeprefix("+").isdecimal():
        expected = "expected a whole number, or one to add to what there is, such as +64"
        raise ExperimentFileError(explain(said, expected, asked))
    new = int(text) + (before if text.startswith("+") else 0)
    if new <= before:
        raise ExperimentFileError(_no_growth(said, before, new))
    return str(new)


def _no_growth(where: str, before: int, received: Any) -> str:
    return explain(where, f"expected more than the {before} there are", received)


def _option(name: str, value: Any = None) -> str:
    option = f"--{name.replace('_', '-')}"
    return option if value is None else f"{option} {value}"
