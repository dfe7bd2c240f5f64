"""Known configurations that come before all draws: of the experiment's file, one beside it, or a bundled space."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from orchestrator.catalog import bundled_points, find_points
from orchestrator.config import Experiment
from orchestrator.domains import Choice, Fixed, Space
from orchestrator.domains.numeric import Integer, LogInteger
from orchestrator.domains.parse import Domain
from orchestrator.domains.space import without_companions
from orchestrator.domains.values import Condition, same, shown
from orchestrator.errors import ExperimentFileError, UnknownNameError, explain
from orchestrator.records import RunFolder, read_run, trial_name
from orchestrator.search.plan import TrialSpec, trial_seed
from orchestrator.searchers import complete

KEY = ("caviar", "points")
FROM_RUN, BEST = "run", "best"
"""The keys of an entry that stands for the best trials of an earlier run."""
Where = Callable[[tuple[str | int, ...]], str]


@dataclass(frozen=True)
class Points:
    """Configurations, each perhaps of a few hyperparameters alone, and where they come from."""

    given: tuple[Mapping[str, Any], ...] = ()
    source: str = ""

    def specs(self, space: Space, seed: int) -> tuple[TrialSpec, ...]:
        """Return them as a plan's first trials; what they leave out is drawn as that of any trial."""
        return tuple(
            TrialSpec(
                trial_name(index),
                index,
                trial_seed(seed, index),
                complete(point, space, seed, index),
            )
            for index, point in enumerate(self.given)
        )


def points_of(experiment: Experiment, space: Space) -> Points:
    """Return the points of an experiment, of a bundled list those that fit its space.

    Raises ExperimentFileError, a line for each point that is not in the space.
    """
    written = experiment.strategy_options.points
    if written == "none":
        return Points()
    if written == "auto":
        listed, source = bundled_points(experiment.search_space)
        fitting = tuple(
            _plain(point, space)
            for index, point in enumerate(listed)
            if not any(_faults(listed[: index + 1], space))
        )
        return Points(fitting, source) if fitting else Points()
    if isinstance(written, str):
        listed, where = find_points(written, experiment.folder)
        return Points(_checked(listed, space, where), written)
    entries = (_Listed(point, at) for at, point in enumerate(written))
    listed = [found for entry in entries for found in _listed(entry, experiment, space)]
    where = experiment.places.under(KEY)

    def place(path: tuple[str | int, ...]) -> str:
        """Return where a point, or a value of it, was written down, or which trial it was."""
        found = listed[int(path[0])]
        return where((found.at, *path[1:])) if not found.of else f"{where((found.at,))}, {found.of}"

    return Points(_checked((each.point for each in listed), space, place), "caviar.points")


@dataclass(frozen=True)
class _Listed:
    """A point of the experiment's list: its place there, and which trial of which run it was, if any."""

    point: Mapping[str, Any]
    at: int
    of: str = ""


def _listed(entry: _Listed, experiment: Experiment, space: Space) -> list[_Listed]:
    """Return a point of the experiment's list, or those of an earlier run that it names.

    A run's are its best trials, as many as ``best`` says, of each configuration one. Raises ExperimentFileError where
    there is no such run, or it has no trial with a finite value.
    """
    point, at = entry.point, entry.at
    is_run = FROM_RUN in point and point.keys() <= {FROM_RUN, BEST}
    if not is_run or FROM_RUN in space.domains:
        return [entry]
    where, count = experiment.places.under((*KEY, at)), point.get(BEST, 1)
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ExperimentFileError(
            explain(where((BEST,)), "expected a whole number of at least 1", count)
        )
    try:
        records = read_run(RunFolder.open(str(point[FROM_RUN]), experiment.storage_path).path)
    except UnknownNameError as error:
        raise ExperimentFileError(f"{where((FROM_RUN,))}: {error}") from None
    found: list[_Listed] = []
    for trial in records.contenders:
        values = without_companions(trial.hyperparameters)
        if len(found) < count and all(each.point != values for each in found):
            found.append(_Listed(values, at, f"trial {trial.trial} of run {records.folder.name}"))
    if not found:
        expected = "expected a run of which a trial has a finite value of its metric"
        raise ExperimentFileError(explain(where((FROM_RUN,)), expected, point[FROM_RUN]))
    return found


def with_points(experiment: Experiment, space: Space) -> Experiment:
    """Return an experiment that names each of its points, as its record does."""
    given = points_of(experiment, space).given
    if not given:
        return experiment
    caviar = experiment.caviar.model_copy(update={"points": tuple(map(dict, given))})
    return experiment.model_copy(update={"caviar": caviar})


def _checked(
    listed: Iterable[Mapping[str, Any]], space: Space, where: Where
) -> tuple[Mapping[str, Any], ...]:
    points = list(listed)
    faults = [
        explain(where((at, *path)), expected, shown(received), known)
        for at in range(len(points))
        for path, expected, received, known in _faults(points[: at + 1], space)
    ]
    if faults:
        raise ExperimentFileError("\n".join(faults))
    return tuple(_plain(point, space) for point in points)


Fault = tuple[tuple[str, ...], str, Any, Iterable[str]]
"""Where in a point, what was expected, what was received, and what is known there."""


def _faults(points: list[Mapping[str, Any]], space: Space) -> Iterator[Fault]:
    """Yield what is wrong with the last of some points."""
    point, before = points[-1], points[:-1]
    if not point:
        yield (), "expected values of hyperparameters", dict(point), ()
        return
    plain = _plain(point, space)
    wrong = list(_misfits(plain, space))
    yield from wrong
    if wrong:
        return
    if any(_plain(other, space) == plain for other in before):
        yield (), "expected each point once", plain, ()
        return
    if space.draw_beside(0, len(before), plain) is None:
        yield (), f"expected values that fulfil {_broken(space, plain)}", plain, ()


def _misfits(plain: Mapping[str, Any], space: Space) -> Iterator[Fault]:
    settled = {name: each.value for name, each in space.domains.items() if isinstance(each, Fixed)}
    there = space.existing({**settled, **plain})
    for name, value in plain.items():
        if name not in space.domains:
            yield (name,), "expected a hyperparameter of the search space", name, space.names
        elif not space.domains[name].contains(value):
            domain = space.domains[name]
            expected = f"expected a value of {domain}, which search_space would have to widen for another one"
            yield (name,), expected, value, ()
        elif name not in there:
            when = _conditions(space.domains[name].when)
            yield (name,), f"expected no value, or {when} in the same point", value, ()


def _conditions(conditions: tuple[Condition, ...]) -> str:
    return " and ".join(
        f"{condition.name} {' or '.join(map(str, condition.values))}" for condition in conditions
    )


def _broken(space: Space, plain: Mapping[str, Any]) -> str:
    broken = space.broken_by(plain)
    return str(broken) if broken else " and ".join(map(str, space.constraints))


def _plain(point: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """Return a point's values as draws give them, without the 1-β of each β."""
    return {
        name: _as_drawn(space.domains.get(name), value)
        for name, value in without_companions(point).items()
    }


def _as_drawn(domain: Domain | None, value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    if domain is None or not isinstance(value, Real) or isinstance(value, bool):
        return value
    if isinstance(domain, Choice | Fixed):
        known = domain.values if isinstance(domain, Choice) else (domain.value,)
        return next((each for each in known if same(each, value)), value)
    if not isinstance(domain, Integer | LogInteger):
        return float(value)
    is_whole = isinstance(value, Integral) or float(value).is_integer()
    return int(float(value)) if is_whole else value
