"""A hyperparameter that nothing reads is an error: someone believes it matters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from orchestrator.catalog import CallableReference, read_names
from orchestrator.domains import Choice, Domain, Fixed, Space
from orchestrator.errors import ExperimentFileError, explain
from orchestrator.experiment.trial_builds import Learned
from orchestrator.training.hyperparameters import (
    COMPANION,
    DEFAULTS,
    OPTIMIZER_READS,
    RATE_NAMES,
    read_by_training,
    read_while_training,
)


def check_every_hyperparameter_is_read(
    space: Space, model: CallableReference, learned: Learned | None, where: str = "search_space"
) -> None:
    """Raise ExperimentFileError for a hyperparameter that neither training nor the model's builder reads.

    A name that the builder's source mentions counts as read, and so does one that it was seen to read. Of a model that
    its builder compiles, training reads little: loss and optimizer are there.
    """
    if learned is None:
        if model.kind == "bundled":  # of any other model it is not known
            refuse_unread(unmentioned(space, model), space, model, where)
        return
    refuse_unread(_unread_by_anyone(space, model, learned), space, model, where)
    left = _left_to_training(space, model, learned)
    if left:
        raise ExperimentFileError(f"{where}: {_compiled_sentence(left, model)}")


def unread(space: Space, model: CallableReference, learned: Learned) -> list[str]:
    """Return the hyperparameters that nothing reads, as far as is known from what was built."""
    return _unread_by_anyone(space, model, learned) + _left_to_training(space, model, learned)


def _unread_by_anyone(space: Space, model: CallableReference, learned: Learned) -> list[str]:
    return [name for name in unmentioned(space, model) if name not in learned.reads]


def _left_to_training(space: Space, model: CallableReference, learned: Learned) -> list[str]:
    """Return what training would set, of a model that its builder compiles without reading it."""
    if not learned.compiled:
        return []
    read = read_names(model) | learned.reads | read_while_training(None, learned.plain_rate)
    return [name for name in space.names if name not in read]


def unmentioned(space: Space, model: CallableReference) -> list[str]:
    """Return the hyperparameters that neither training nor the source of the model's builder mentions."""
    by_model = read_names(model)
    return [
        name
        for name in space.names
        if name not in by_model and name not in read_by_training(_optimizers_beside(space, name))
    ]


def refuse_unread(
    names: Sequence[str], space: Space, model: CallableReference, where: str = "search_space"
) -> None:
    """Raise ExperimentFileError for the first of ``names``, which nothing reads."""
    for name in names[:1]:
        raise ExperimentFileError(_sentence(f"{where}.{name}", name, space, model))


def optimizers_of(space: Space) -> set[str]:
    """Return the optimizers a space can draw."""
    return {str(value).lower() for value in _values(space.domains.get("optimizer"))}


def _values(domain: Domain | None) -> Iterable[object]:
    match domain:
        case None:
            return (DEFAULTS["optimizer"],)
        case Choice():
            return domain.values
        case Fixed():
            return (domain.value,)
    return OPTIMIZER_READS


def _optimizers_beside(space: Space, name: str) -> set[str]:
    """Return the optimizers beside which a hyperparameter can be drawn."""
    optimizers = optimizers_of(space)
    for condition in space.domains[name].when:
        if condition.name == "optimizer":
            optimizers &= {str(value).lower() for value in condition.values}
    return optimizers


def _compiled_sentence(names: Sequence[str], model: CallableReference) -> str:
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    schedule = " and its optimizer follows a schedule" if RATE_NAMES & set(names) else ""
    return (
        f"nothing reads {listed}: the builder of model {model.text} compiles the model itself{schedule}, so read"
        f" hp[{names[0]!r}] there, leave compile() out, or take {listed} out of the file."
    )


def check_schedule_is_read(
    start: Mapping[str, object],
    schedule: Sequence[tuple[int, Mapping[str, object]]],
    model: CallableReference,
    learned: Learned | None,
) -> None:
    """Raise ExperimentFileError for a planned change of a panda's that nothing reads by then."""
    in_force = {**DEFAULTS, **start}
    by_model = read_names(model) | (learned.reads if learned is not None else frozenset())
    compiled = learned is not None and learned.compiled
    for epoch, changes in schedule:
        in_force |= changes
        optimizer = None if compiled else str(in_force["optimizer"])
        plain_rate = learned is not None and learned.plain_rate
        known = by_model | read_while_training(optimizer, plain_rate)
        for name in changes:
            if name.removeprefix(COMPANION) not in known:
                expected = f"expected a hyperparameter that model {model.text} or training reads"
                place = f"panda.schedule, epoch {epoch}, {name}"
                raise ExperimentFileError(explain(place, expected, name, known))


def _sentence(where: str, name: str, space: Space, model: CallableReference) -> str:
    readers = sorted(optimizer for optimizer, names in OPTIMIZER_READS.items() if name in names)
    optimizers = _optimizers_beside(space, name)
    if readers:
        return (
            f"{where}: nothing reads it, since the optimizer is always {' or '.join(sorted(optimizers))}."
            f" It is read by {', '.join(readers)}."
        )
    known = read_by_training(optimizers) | read_names(model)
    return explain(
        where, f"expected a hyperparameter that model {model.text} or training reads", name, known
    )
