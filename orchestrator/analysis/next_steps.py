"""What to type next: commands that work on the run as it stands, and domains with another end."""

from __future__ import annotations

import json
import math
import shlex
from dataclasses import replace
from numbers import Real
from typing import Any

from orchestrator.catalog.names import is_mark
from orchestrator.domains import Choice, Domain, LogInteger
from orchestrator.domains.numeric import Integer, LogUniform
from orchestrator.domains.parse import write_domain
from orchestrator.records import RunRecords
from orchestrator.search.scales import DECADE, Side, rounded, scale_of, widened

FEWEST_MORE = 8


def more_trials(records: RunRecords) -> str:
    """Return how many further trials a change deserves: a third of what there are."""
    return f"+{max(FEWEST_MORE, round(len(records.trials) / 3))}"


def extend(records: RunRecords, *changes: str, **lengths: str) -> str:
    """Return the command that extends a run, or the call where it was given objects in Python."""
    if "pbt" in ((records.caviar or {}).get("scheduler") or {}):
        lengths = {_KEYS.get(name, name): value for name, value in lengths.items()}
        sizes = [f"{key}={_in_all(records, value)}" for key, value in lengths.items()]
        return run_again(records, "longer", *sizes, *changes)
    given = _given(records)
    if given:
        options = [f"{name}={value!r}" for name, value in lengths.items()]
        said = [repr(str(records.folder.path)), *([repr(list(changes))] if changes else [])]
        return f"orchestrator.extend({', '.join([*said, *options, *given])})"
    words = ["orchestrator", "extend", str(records.folder.path)]
    for name, value in lengths.items():
        words += [f"--{name.replace('_', '-')}", value]
    for change in changes:
        words += ["--set", change]
    return shlex.join(words)


_KEYS = {"num_samples": "caviar.num_samples"}


def _in_all(records: RunRecords, value: str) -> str:
    """Return how many a new run has where an extension would be of ``+8``."""
    if not value.startswith("+"):
        return value
    drawn = sum(not trial.is_branch for trial in records.trials)
    return str(drawn + int(value))


def extend_space(records: RunRecords, name: str, domain: Domain) -> str:
    """Return the command that draws further trials from a space with another domain in it."""
    return extend(records, space_change(name, domain), num_samples=more_trials(records))


def space_change(name: str, domain: Domain) -> str:
    """Return what ``--set`` takes to give a hyperparameter another domain."""
    written = write_domain(domain)
    text = written if isinstance(written, str) else json.dumps(written)
    return f"search_space.{name}={text}"


def constrain(records: RunRecords, constraint: str) -> str:
    """Return the command that draws further trials under one more constraint."""
    texts = [*(records.experiment.get("constraints") or ()), constraint]
    return extend(records, f"constraints={json.dumps(texts)}", num_samples=more_trials(records))


def run_again(records: RunRecords, suffix: str, *changes: str) -> str:
    """Return the command for a new run of the same experiment with changes."""
    given = _given(records)
    if given:
        return f"orchestrator.run({', '.join([*given, *changes])}, ...)"
    words = ["orchestrator", "run", str(records.folder.experiment_file)]
    for change in (f"name={records.name}-{suffix}", *changes):
        words += ["--set", change]
    return shlex.join(words)


def _given(records: RunRecords) -> list[str]:
    """Return what a run was given in Python, which has to be given again to continue it."""
    content = dict(records.experiment)
    data = content.get("data")
    content["data"] = data.get("source") if isinstance(data, dict) else data
    keys = ("model", "data", "callbacks", "trial")
    return [f"{key}={key}" for key in keys if is_mark(content.get(key))]


def with_wider(domain: Domain, side: Side, is_rate: bool = False) -> Domain | None:
    """Return a domain that goes on beyond an end; None where that is hard, or nothing lies beyond it.

    What ends at 1 may be a share and ends there for good, but for a learning rate (``is_rate``).
    """
    if isinstance(domain, Choice):
        return _wider_choice(domain, side)
    scale = scale_of(domain)
    if scale is None or scale.is_hard(side):
        return None
    if isinstance(domain, Integer | LogInteger):
        return _wider_integer(domain, side)
    low, high = scale.low, scale.high
    new, _ = widened(scale, scale, side, is_hard=False)
    if is_rate and side == "upper" and isinstance(domain, LogUniform):
        new = high + DECADE
    if new is None:
        return None
    return rounded(scale, new, high) if side == "lower" else rounded(scale, low, new)


def with_end(domain: Domain, side: Side, place: float) -> Domain | None:
    """Return a range that ends at a place of its scale; None where next to nothing of it would be left."""
    scale = scale_of(domain)
    if scale is None:
        return None
    low, high = (place, scale.high) if side == "lower" else (scale.low, place)
    if high - low < 0.05 * scale.width:
        return None
    return rounded(scale, low, high)


def _wider_integer(domain: Integer | LogInteger, side: Side) -> Domain | None:
    low, high = int(domain.ends[0]), int(domain.ends[1])
    step = int(domain.step or 1)
    more = max(step, math.ceil((high - low) / 2 / step) * step)
    if side == "upper":
        return replace(domain, max=high + more)
    lowest = 1 if low >= 1 else 0 if low >= 0 else -(2**52)
    new = max(lowest, low - more)
    while (high - new) % step:
        new += 1
    return replace(domain, min=new) if new < low else None


def _wider_choice(domain: Choice, side: Side) -> Choice | None:
    """Return a choice of numbers with one more beyond an end: as many times the last, or as far from it."""
    values = domain.values
    if len(values) < 3 or any(isinstance(v, bool) or not isinstance(v, Real) for v in values):
        return None
    ordered = sorted(float(v) for v in values)  # type: ignore[arg-type]
    last, before = (ordered[0], ordered[1]) if side == "lower" else (ordered[-1], ordered[-2])
    if last <= 0 or (side == "lower" and last <= 1 and _are_whole(values)):
        return None
    new: Any = last * last / before if before > 0 else 2 * last - before
    new = round(new) if _are_whole(values) else float(f"{new:.3g}")
    if max(ordered) <= 1 and not _are_whole(values):  # what lies below 1 may be a share
        new = min(new, float(f"{(1 + last) / 2:.3g}"))
    if new <= 0 or any(new == value for value in values):
        return None
    return replace(domain, values=(new, *values) if side == "lower" else (*values, new))


def _are_whole(values: tuple[Any, ...]) -> bool:
    return all(isinstance(value, int) for value in values)
