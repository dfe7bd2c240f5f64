"""How a race between the best configurations went: what their replicates came to, and who won, in sentences."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from orchestrator.records import RunRecords
from orchestrator.redaction import redact
from orchestrator.report.formatting import number, printable
from orchestrator.search.race import Estimate, intervals, judged, unit_of


def confidence_of(records: RunRecords) -> float:
    """Return the confidence of the latest race, and of its intervals."""
    return float((records.state.race or {}).get("confidence") or 0.95)


def scores_of(records: RunRecords, trial: str) -> list[float]:
    """Return the best values of a configuration's replicates that trained to their ends, in the metric's unit."""
    ended = (t for t in records.state.replicates_of(trial) if t.ending == "finished")
    found = (records.of(replicate.trial).best for replicate in ended)
    return [score.value for score in found if score is not None]


def estimates(records: RunRecords) -> dict[str, Estimate]:
    """Return mean, standard deviation and interval of each configuration that has replicates with a score."""
    finalists = tuple((records.state.race or {}).get("finalists") or ())
    scores = {name: values for name in finalists if (values := scores_of(records, name))}
    bests = (records.of(trial.trial).best for trial in records.trials)
    searched = unit_of({"all": [best.value for best in bests if best is not None]})
    found = intervals(scores, confidence_of(records), searched)
    if "accuracy" in records.metric and all(0 <= v <= 1 for each in scores.values() for v in each):
        return {name: _as_share(each) for name, each in found.items()}
    return found


def _as_share(found: Estimate) -> Estimate:
    """Return an interval of accuracies without what none can be."""
    if found.low is None or found.high is None:
        return found
    return replace(found, low=max(0.0, found.low), high=min(1.0, found.high))


def outcome(records: RunRecords, trial: str) -> str | None:
    """Return a configuration's place in a race: winner, tied, lost, dropped; None where it did not race."""
    race, result = records.state.race, records.state.race_result
    if race is None or trial not in (race.get("finalists") or ()):
        return None
    if result is None:
        return "racing"
    if trial == result.get("winner"):
        return "winner"
    if trial in (result.get("tied") or ()):
        return "tied"
    why = str((result.get("dropped") or {}).get(trial) or "")
    if "replicates" in why and "chance" not in why:
        return f"dropped: {printable(why)}"
    return "dropped" if why else "lost"


def percent(chance: float) -> str:
    """Return a chance, none of which is certain."""
    return (
        "> 99.9 %"
        if chance > 0.999
        else "< 0.1 %"
        if chance < 0.001
        else f"{chance:.1%}".replace("%", " %")
    )


def race_lines(records: RunRecords, width: int = 80) -> list[str]:
    """Return who was raced, who won and how sure that is; nothing of a run without a race."""
    race, result = records.state.race, records.state.race_result
    if race is None:
        return []
    finalists = [str(name) for name in race.get("finalists") or ()]
    if result is None:
        done = sum(
            trial.is_over for name in finalists for trial in records.state.replicates_of(name)
        )
        text = f"Race: not over: {done} replicates of {len(finalists)} configurations so far."
        return _wrapped(text, width)
    lines = _wrapped(f"Race: {_verdict(records, result, finalists)}", width)
    found = estimates(records)
    order = [str(name) for name in result.get("order") or finalists]
    for name in order:
        if name in found:
            lines += _wrapped(f"  {_figures(name, found[name], records)}", width)
    lines += _judged(records, str(result.get("winner")), width)
    return [*lines, *_changed(records, result, width)]


def _verdict(records: RunRecords, result: Mapping[str, Any], finalists: list[str]) -> str:
    raced = f"{len(finalists)} configurations, {result.get('replicates', '?')} replicates"
    winner, chance = result.get("winner"), result.get("chance")
    if winner is None:
        return f"{raced}; undecided, since of each configuration a replicate failed."
    if chance is None:
        return f"{raced}; {winner} wins, since a replicate of each other one failed."
    if result.get("verdict") == "best":
        return f"{raced}; {winner} is the best with a probability of {percent(float(chance))}."
    tied = [str(name) for name in result.get("tied") or ()]
    sizes = [_parameters(records, name) for name in tied]
    smaller = len(set(sizes)) > 1 and _parameters(records, str(winner)) == min(
        s for s in sizes if s
    )
    why = "the smaller one" if smaller else "which came out higher"
    others = [name for name in tied if name != winner]
    return f"{raced}; tied: {winner} and {', '.join(others)}. Take {winner}, {why}."


def _parameters(records: RunRecords, name: str) -> int | None:
    found = records.trial(name)
    return found.parameters if found else None


def _figures(name: str, found: Estimate, records: RunRecords) -> str:
    text = f"{name}: mean {records.metric} {number(found.mean)}"
    if found.sd is None or found.low is None or found.high is None:
        return f"{text}, 1 replicate"
    between = f"{number(found.low)} to {number(found.high)}"
    level = f"{confidence_of(records):.0%}".replace("%", " %")
    return (
        f"{text}, sd {number(found.sd)}, {level} interval {between}, {found.replicates} replicates"
    )


def judged_score(records: RunRecords, trial: str) -> float | None:
    """Return the mean score of a configuration's replicates, each at the epoch that its others choose, in the unit.

    None where fewer than two trained to their ends, or one has no finite score there.
    """
    sign = 1.0 if records.mode == "max" else -1.0
    ended = (t for t in records.state.replicates_of(trial) if t.ending == "finished")
    curves = [
        [sign * _value(row, records.metric) for row in records.of(replicate.trial).epochs]
        for replicate in ended
    ]
    found = judged(curves)
    return sign * sum(found) / len(found) if found and all(map(math.isfinite, found)) else None


def _value(row: Mapping[str, Any], metric: str) -> float:
    value = row["metrics"].get(metric)
    return math.nan if value is None else float(value)


def _judged(records: RunRecords, winner: str, width: int) -> list[str]:
    """Say what the winner scores at epochs that were not chosen by the scores themselves, and which rows chose."""
    score = judged_score(records, winner)
    if score is None:
        return []
    rows = "rows of the other folds" if records.state.has_folds else "same rows, other seeds"
    text = (
        f"The rows that chose a replicate's best epoch judged it too. At the epoch that the other replicates choose"
        f" ({rows}), {winner} has a mean {records.metric} of {number(score)}."
    )
    return _wrapped(text, width)


def _changed(records: RunRecords, result: Mapping[str, Any], width: int) -> Iterator[str]:
    """Yield a sentence where the first row of the search's table was not the winner."""
    first = next(iter((records.state.race or {}).get("finalists") or ()), None)
    winner = result.get("winner")
    if winner is None or first in (None, winner):
        return
    score = records.of(str(first)).best
    if score is not None:
        text = f"The search's own first was {first}, {records.metric} {number(score.value)} in one training."
        yield from _wrapped(text, width)


def _wrapped(text: str, width: int) -> list[str]:
    indent = "  " if text.startswith(" ") else ""
    return textwrap.wrap(
        redact(text.strip()), width, initial_indent=indent, subsequent_indent=indent + "  "
    )
