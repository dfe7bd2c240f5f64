"""Rows of figures in; Markdown, ratios to ours, and the bars with whether they are met, out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

OURS = "ours"
MEMORY_BAR_MB = 100.0


@dataclass(frozen=True)
class Bar:
    """At least ``times`` as fast as the fastest of ``peers``, on this case, per trial or per epoch of one."""

    case: str
    trials: int
    peers: tuple[str, ...]
    times: float
    per: Literal["trial", "trial-epoch"] = "trial"


_OPTUNA = ("optuna", "optuna-threads")
_SEQUENTIAL = (("keras-tuner",), _OPTUNA)
BARS = (
    Bar("digits-mlp", 64, ("ray-tune",), 12),
    *(Bar("digits-mlp", 64, peers, 5) for peers in _SEQUENTIAL),
    Bar("digits-mlp", 256, ("ray-tune",), 60),
    *(Bar("digits-mlp", 256, peers, 25) for peers in _SEQUENTIAL),
    *(Bar("mnist5k-cnn", 16, peers, 2, "trial-epoch") for peers in (("ray-tune",), *_SEQUENTIAL)),
    Bar("letters-mlp", 24, _OPTUNA, 3, "trial-epoch"),
    Bar("letters-wide", 8, _OPTUNA, 1.3, "trial-epoch"),
)
COLUMNS = (
    "trials", "of", "at once", "seconds", "s/trial", "s/trial-epoch", "epochs", "RSS MB", "PSS MB",
    "best val", "x s/trial", "x s/trial-epoch",
)  # fmt: skip


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Return one table a case; a row's ratios say how many times ours it took."""
    parts = []
    for case, trials in dict.fromkeys((row["case"], row["asked"]) for row in rows):
        group = [row for row in rows if (row["case"], row["asked"]) == (case, trials)]
        parts += [f"## {case}, {trials} trials", "", *_group(group), "", *_footnotes(group)]
    return "\n".join([*parts, "## Bars", "", *verdicts(rows), ""])


def _group(group: Sequence[dict[str, Any]]) -> list[str]:
    """Return the lines of one case's table."""
    ours = next((row for row in group if row["peer"] == OURS and "error" not in row), None)
    head = ["", *COLUMNS]
    lines = [_line(head), _line(["---"] + ["---:"] * len(COLUMNS))]
    for row in group:
        if "error" in row:
            reason = row["error"].strip().splitlines()[-1]
            lines.append(_line([row["peer"], f"failed: {reason}", *[""] * (len(COLUMNS) - 1)]))
        else:
            lines.append(_line([row["peer"], *_cells(row, ours)]))
    return lines


def _cells(row: dict[str, Any], ours: dict[str, Any] | None) -> list[str]:
    """Return a row's cells, in the order of COLUMNS."""
    return [
        str(row["trials"]),
        str(row["asked"]),
        str(row["concurrent"]),
        f"{row['seconds']:.1f}",
        f"{per_trial(row):.3f}",
        f"{per_epoch(row):.4f}",
        str(row["epochs"]),
        f"{row['peak_rss_mb']:.0f}",
        f"{row['peak_pss_mb']:.0f}" if row["peak_pss_mb"] else "",
        f"{row['best_val_accuracy']:.4f}",
        f"{per_trial(row) / per_trial(ours):.1f}" if ours else "",
        f"{per_epoch(row) / per_epoch(ours):.1f}" if ours else "",
    ]


def _line(cells: Sequence[str]) -> str:
    """Return one Markdown row."""
    return "| " + " | ".join(cells) + " |"


def _footnotes(group: Sequence[dict[str, Any]]) -> list[str]:
    """Return what the table itself cannot say."""
    notes = []
    for row in group:
        if "error" in row:
            continue
        if row["run"] < row["asked"]:
            notes.append(
                f"- {row['peer']}: {row['run']} of {row['asked']} trials run; per-trial figures, "
                "its start-up spread over those."
            )
        if row["notes"]:
            told = ", ".join(f"{name} {value}" for name, value in row["notes"].items())
            notes.append(f"- {row['peer']}: {told}")
    return [*notes, ""] if notes else []


def verdicts(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return one line for each bar that these rows can be held against."""
    good = {(row["case"], row["asked"], row["peer"]): row for row in rows if "error" not in row}
    lines = []
    for bar in BARS:
        ours = good.get((bar.case, bar.trials, OURS))
        found = [good.get((bar.case, bar.trials, peer)) for peer in bar.peers]
        peers = [row for row in found if row is not None]
        if ours is None or not peers:
            continue
        cost = per_trial if bar.per == "trial" else per_epoch
        times = min(map(cost, peers)) / cost(ours)
        lines.append(
            f"- {_met(times >= bar.times)}: {bar.case}, {bar.trials} trials: {times:.1f}x "
            f"{bar.peers[0]} per {bar.per} (bar: {bar.times:g}x)"
        )
    for (case, trials, peer), row in good.items():
        growth = memory_growth_mb(row["notes"].get("worker_rss_mb", {}))
        if peer == OURS and growth is not None:
            lines.append(
                f"- {_met(growth < MEMORY_BAR_MB)}: {case}, {trials} trials: a worker grew by "
                f"{growth:.0f} MB between trial 64 and trial 256 (bar: {MEMORY_BAR_MB:g} MB)"
            )
    return lines or ["- none of these runs has a bar"]


def memory_growth_mb(marks: dict[str, dict[str, float]]) -> float | None:
    """Return the largest growth of one worker between trial 64 and 256, if both were recorded."""
    early, late = marks.get("64", {}), marks.get("256", {})
    growths = [late[worker] - early[worker] for worker in early.keys() & late.keys()]
    return max(growths) if growths else None


def per_trial(row: dict[str, Any]) -> float:
    """Return seconds a trial, start-up included."""
    return float(row["seconds"]) / int(row["trials"])


def per_epoch(row: dict[str, Any]) -> float:
    """Return seconds an epoch of a trial, start-up included."""
    return float(row["seconds"]) / int(row["epochs"]) if row["epochs"] else math.nan


def _met(met: bool) -> str:
    """Return the word in front of a bar."""
    return "met" if met else "MISSED"
