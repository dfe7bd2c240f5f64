"""Runs side by side: caviars, pandas and their branches, and by how much the best one won.

The noise is the standard error of the difference of two accuracies, each a share of n validation
rows: sqrt(p(1-p)/n + q(1-q)/m), the normal approximation to two binomials (Dietterich, "Approximate
Statistical Tests for Comparing Supervised Classification Learning Algorithms", Neural Computation
10(7), 1998, section 3.2). Models judged on the same rows make mistakes in common, so it errs on the
careful side.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.analysis import difference_noise
from orchestrator.records import RunRecords, Score, TrialRecord
from orchestrator.report.differences import given, unlike
from orchestrator.report.formatting import number, shown_name
from orchestrator.report.tables import by_column, score, to_frame, winning_trial

if TYPE_CHECKING:
    import pandas as pd


STANDARD_ERRORS = 2.0
"""A difference of more than two standard errors is called beyond the noise."""


@dataclass(frozen=True)
class Comparison:
    """Runs side by side: rows as those of ``compare_table``, who leads, and what differs in what they were given.

    ``differences`` is {key of the experiment or the manifest: one value a run}.
    """

    rows: tuple[Mapping[str, Any], ...]
    says: tuple[str, ...]
    differences: Mapping[str, tuple[Any, ...]]


def summarize_comparison(runs: Sequence[RunRecords]) -> Comparison:
    """Return what is to be said of several runs together."""
    return Comparison(
        tuple(_rows(runs)),
        tuple(compare_lines(runs, width=10**6)),
        unlike([given(records) for records in runs]),
    )


def compare_table(runs: Iterable[RunRecords]) -> pd.DataFrame:
    """Return one row a caviar, a panda or a branch (``run/branch``): effort, scores, values.

    ``behind`` is how far the best value is from the best of all rows with the same metric, in the
    metric's units, and ``noise`` the standard error of that difference, where the metric is an
    accuracy and the number of validation rows is known.
    """
    frame = to_frame(by_column(_rows(runs)))
    frame.attrs["importance"] = [
        name for name in frame.columns if name not in ("metric", "behind", "noise")
    ]
    if len(frame) > 1:
        frame.attrs["importance"][5:5] = ["behind", "noise"]
    return frame


def compare_lines(runs: Iterable[RunRecords], width: int = 80) -> list[str]:
    """Return who won, and by how much against the noise, over the second of each metric."""
    lines: list[str] = []
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in _rows(runs):
        if row["behind"] is not None:
            groups.setdefault(row["metric"], []).append(row)
    for found in groups.values():
        ranked = sorted(found, key=lambda row: float(row["behind"]))
        if len(ranked) > 1:
            lines += textwrap.wrap(_verdict(ranked[0], ranked[1]), width, subsequent_indent="  ")
    return lines


def _rows(runs: Iterable[RunRecords]) -> list[dict[str, Any]]:
    """Return every row, each set against the best one that was judged by the same metric."""
    pairs = [(row, records) for records in runs for row in _of_run(records)]
    leaders: dict[tuple[str, str], tuple[dict[str, Any], RunRecords]] = {}
    best: dict[tuple[str, str], Score] = {}
    for row, records in pairs:
        goal, score = (records.metric, records.mode), row.pop("score")
        if score is not None and score.beats(best.get(goal)):
            best[goal], leaders[goal] = score, (row, records)
    for row, records in pairs:
        leader = leaders.get((records.metric, records.mode))
        if leader is None or row["best"] is None:
            continue
        row["behind"] = _gain(leader[0], row, records)
        if row is not leader[0] and "accuracy" in records.metric:
            counts = [_validation_rows(leader[1]), _validation_rows(records)]
            row["noise"] = difference_noise(leader[0]["best"], row["best"], counts)
    return [row for row, _ in pairs]


def _gain(row: Mapping[str, Any], other: Mapping[str, Any], records: RunRecords) -> float:
    """Return by how much a row is better than another."""
    sign = 1.0 if records.mode == "max" else -1.0
    return sign * (float(row["best"]) - float(other["best"])) + 0.0  # no -0.0


def _of_run(records: RunRecords) -> Iterator[dict[str, Any]]:
    if records.panda is not None and records.trials:
        for trial in records.trials:
            shown = f"{records.name}/{trial.trial}" if trial.is_branch else records.name
            yield _row(records, shown, trial)
        return
    winner = winning_trial(records)
    yield _row(records, records.name, records.trial(winner) if winner else None)


def _row(records: RunRecords, shown: str, trial: TrialRecord | None) -> dict[str, Any]:
    score_now = records.of(trial.trial).best if trial else None
    winner = records.winner or {}
    judged = trial is not None and winner.get("trial") == trial.trial
    trials, epochs, seconds = _effort(records, trial)
    row: dict[str, Any] = {
        "run": shown,
        "strategy": records.experiment.get("strategy"),
        "trials": trials,
        "epochs": epochs,
        "metric": records.metric,
        "score": score_now,
        "best": score_now.value if score_now else None,
        "behind": None,
        "noise": None,
        "test": score(winner.get("test") or {}, records.metric) if judged else None,
        "seconds": seconds,
    }
    for hyperparameter, value in (
        records.of(trial.trial).current_hyperparameters if trial else {}
    ).items():
        name = shown_name(hyperparameter)
        row[f"hyperparameter_{name}" if name in row else name] = value
    return row


def _effort(records: RunRecords, trial: TrialRecord | None) -> tuple[int, int, float]:
    """Return trials, epochs (abandoned ones too) and seconds: of the run, or of a panda's trial."""
    if records.panda is None or trial is None:
        return len(records.trials), len(records.epochs), records.seconds
    mine = [row for row in records.epochs if row["trial"] == trial.trial]
    return 1, len(mine), sum(float(row.get("seconds") or 0) for row in mine)


def _validation_rows(records: RunRecords) -> int | None:
    data = records.manifest.get("data")
    rows = data.get("rows") if isinstance(data, dict) else None
    count = rows.get("validation") if isinstance(rows, dict) else None
    return count if isinstance(count, int) and count > 0 else None


def _verdict(first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    lead, noise = float(second["behind"]), second["noise"]
    text = f"{first['run']} leads: {first['metric']} {number(first['best'])}"
    if lead == 0:
        return f"{text}, level with {second['run']}."
    text += f", {number(lead)} better than {second['run']}"
    if noise is None:
        return f"{text}; how much of that is noise is not known."
    times = "" if noise == 0 else f" ({lead / noise:.1f} x the standard error {number(noise)})"
    beyond = "beyond" if lead > STANDARD_ERRORS * noise else "within"
    return f"{text}, {beyond} the noise{times}."
