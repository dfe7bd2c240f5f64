"""Configurations trained anew with several seeds: a run of its own, driven and recorded as any run is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.drift.decision import (
    Comparison,
    Decision,
    Margin,
    Rival,
    compare,
    decide,
    follows,
    margin_of,
    rank_correlation,
    still_in_doubt,
)
from orchestrator.experiment.candidates import Candidate
from orchestrator.experiment.executors import Executor
from orchestrator.experiment.flow import drive
from orchestrator.experiment.manifest import manifest_of
from orchestrator.experiment.prepared import Prepared
from orchestrator.experiment.remaining import Resumed, remaining
from orchestrator.experiment.run_lease import driving
from orchestrator.records import RunFolder, RunRecords, read_run, trial_name
from orchestrator.schedulers import NoSchedulerOptions
from orchestrator.search import Plan, TrialSpec
from orchestrator.search.race import judged
from orchestrator.searchers import RandomOptions

FEWEST_SEEDS, MOST_SEEDS = 2, 100
IN_DOUBT = 4
"""A challenger that may yet win gets up to so many times the seeds asked for; one that has won as many again."""
_SEEDS = 12
"""What tells the stream of a re-evaluation's seeds from a run's others."""


@dataclass(frozen=True)
class Retraining:
    """A run below ``place`` of some candidates: trial ``i`` is of candidate and seed number ``pairs[i]``.

    ``about`` goes into its manifest, and marks it as part of a re-evaluation.
    """

    place: Path
    name: str
    candidates: tuple[Candidate, ...]
    about: Mapping[str, Any]

    @property
    def folder(self) -> RunFolder:
        """Its run's folder."""
        return RunFolder(self.place / self.name)

    def train(
        self, prepared: Prepared, pairs: Sequence[tuple[int, int]], by: Executor, progress: bool
    ) -> RunRecords:
        """Train what is lacking of ``pairs`` and return the records; pairs may be added at a later call.

        Raises KeyboardInterrupt where it was asked to stop.
        """
        ours = self._planned(prepared, pairs)
        folder = self.folder
        if not folder.exists:
            RunFolder.create(self.place, self.name, lambda made: self._fill(made, ours))
        with driving(folder) as driven:
            records = read_run(folder.path, exact=True)
            if _lacks(records, len(pairs)):
                resumed = remaining(ours, records) if records.events else Resumed(ours)
                drive(resumed, folder, driven, progress, by)
                records = read_run(folder.path, exact=True)
        if records.status != "finished":
            raise KeyboardInterrupt
        return records

    def scores(
        self, records: RunRecords, pairs: Sequence[tuple[int, int]]
    ) -> dict[str, tuple[float | None, ...]]:
        """Return each candidate's score a seed, None where that trial did not train to its end.

        A score is taken at the epoch that the candidate's other seeds choose: the best epoch of a jittery curve would
        be the better the more it jitters. Of one seed alone it is the best.
        """
        sign = 1.0 if records.mode == "max" else -1.0
        found: dict[str, dict[int, list[float] | None]] = {e.name: {} for e in self.candidates}
        for index, (at, seed) in enumerate(pairs):
            found[self.candidates[at].name][seed] = _curve(records, trial_name(index), sign)
        return {name: _scores(curves, sign) for name, curves in found.items()}

    def _planned(self, prepared: Prepared, pairs: Sequence[tuple[int, int]]) -> Prepared:
        """Return the run's experiment and plan: these trials and no other, each trained to the last epoch."""
        plan = prepared.plan
        specs = tuple(self._spec(prepared, index, *pair) for index, pair in enumerate(pairs))
        plan = replace(
            plan,
            points=specs,
            num_trials=len(specs),
            scheduler=NoSchedulerOptions(),
            searcher=RandomOptions(),
            rounds=None,
            finalists=None,
            limits=type(plan.limits)(max_trial_time=plan.limits.max_trial_time),
            keep_checkpoints=1,
        )
        caviar = prepared.experiment.caviar.model_copy(
            update={
                "points": tuple(dict(each.hyperparameters) for each in self.candidates),
                "num_samples": len(specs),
                "scheduler": NoSchedulerOptions(),
                "searcher": RandomOptions(),
                "rounds": type(prepared.experiment.caviar.rounds)(),
            }
        )
        where = {"name": self.name, "storage_path": str(self.place), "caviar": caviar}
        experiment = prepared.experiment.model_copy(update=where)
        return replace(prepared, experiment=experiment, plan=plan)

    def _spec(self, prepared: Prepared, index: int, at: int, seed: int) -> TrialSpec:
        given = prepared.space.with_companions(self.candidates[at].hyperparameters)
        number = seed_of(prepared.plan, int(self.about["number"]), seed)
        return TrialSpec(trial_name(index), index, number, given)

    def _fill(self, folder: RunFolder, ours: Prepared) -> None:
        folder.write_experiment(ours.document)
        folder.write_manifest({**manifest_of(ours), "reevaluation": dict(self.about)})


def _curve(records: RunRecords, trial: str, sign: float) -> list[float] | None:
    """Return the values of a trial by epoch, more is better; None of one that did not train to its end."""
    known = records.trial(trial)
    if known is None or known.ending != "finished":
        return None
    values = (row["metrics"].get(records.metric) for row in records.of(trial).epochs)
    return [math.nan if value is None else sign * float(value) for value in values]


def _scores(curves: Mapping[int, list[float] | None], sign: float) -> tuple[float | None, ...]:
    """Return the scores of seeds 0, 1, …, in the metric's unit, from their curves."""
    there = {seed: curve for seed, curve in curves.items() if curve}
    by_others = dict(zip(there, judged(list(there.values())), strict=False))
    found = {
        seed: by_others.get(seed, max(filter(math.isfinite, curve), default=math.nan))
        for seed, curve in there.items()
    }
    return tuple(
        sign * found[seed] if math.isfinite(found.get(seed, math.nan)) else None
        for seed in range(max(curves, default=-1) + 1)
    )


def seed_of(plan: Plan, number: int, seed: int) -> int:
    """Return the seed of weights and shuffling that all configurations share as their ``seed``-th: fresh ones."""
    # The k-th seed is the same for all: what a seed does to all of them cancels in their differences.
    stream = np.random.SeedSequence([plan.seed, _SEEDS, number, seed])
    return int(stream.generate_state(1)[0] & 0x7FFFFFFF)


def _lacks(records: RunRecords, trials: int) -> bool:
    over = sum(trial.is_over for trial in records.trials)
    return records.status != "finished" or (over < trials and not records.standing.reason)


class Race:
    """The incumbent and its challengers, trained with one seed after another."""

    def __init__(
        self,
        prepared: Prepared,
        by: Executor,
        progress: bool,
        runs: tuple[Retraining, ...],
        records: RunRecords,
    ) -> None:
        self._prepared, self._by, self._progress = prepared, by, progress
        self._ours, self._theirs = runs
        self._rows = _validation_rows(prepared)
        self._metric, self._mode = records.metric, records.mode
        self._pairs: dict[str, list[tuple[int, int]]] = {"incumbent": [], "challengers": []}
        self.scores: dict[str, tuple[float | None, ...]] = {}

    def run(self, seeds: int) -> Decision:
        """Return what is to be done once every challenger is surely better, surely not, or has its seeds."""
        left = list(range(len(self._theirs.candidates)))
        compared = self._train(range(FEWEST_SEEDS), left)
        left = [at for at in left if compared[at].may_win]
        # Beyond the seeds asked for, only those train further of which they did not tell.
        for first, end in (
            (FEWEST_SEEDS, seeds),
            (seeds, 2 * seeds),
            (2 * seeds, IN_DOUBT * seeds),
        ):
            if not left and first >= seeds:
                break
            compared = self._train(range(first, end), left)
            margin = self._margin
            left = [at for at in left if still_in_doubt(compared[at], margin)]
        found = decide(self._incumbent, self._rivals, self._mode, self._margin)
        won = [at for at, each in enumerate(found.comparisons) if each.wins]
        return self._confirmed(found, won, IN_DOUBT * seeds) if won else found

    def _confirmed(self, found: Decision, won: Sequence[int], seeds: int) -> Decision:
        """Return the decision by so many further seeds of those that ``won``: they had been picked by the others."""
        self._train(range(seeds, 2 * seeds), won)
        margin = self._margin
        incumbent, *rivals = (
            replace(each, scores=(None,) * seeds + each.scores[seeds:])
            for each in (self._incumbent, *self._rivals)
        )
        fresh = compare(incumbent, [rivals[at] for at in won], self._mode, margin)
        by_name = {each.name: each for each in fresh}
        return follows(tuple(by_name.get(e.name, e) for e in found.comparisons), margin)

    def _train(self, seeds: range, left: Sequence[int]) -> tuple[Comparison, ...]:
        """Train the incumbent and those that are ``left`` with further seeds; return how all compare."""
        further = (
            (self._ours, [(0, seed) for seed in seeds]),
            (self._theirs, [(at, seed) for seed in seeds for at in left]),
        )
        for run, pairs in further:
            known = self._pairs[run.name]
            known += pairs
            if known:
                records = run.train(self._prepared, known, self._by, self._progress)
                self.scores |= run.scores(records, known)
        return compare(self._incumbent, self._rivals, self._mode, self._margin)

    @property
    def _incumbent(self) -> Rival:
        return Rival("incumbent", self.scores.get("incumbent", ()), near=True)

    @property
    def _rivals(self) -> list[Rival]:
        return [
            Rival(each.name, self.scores.get(each.name, ()), each.near)
            for each in self._theirs.candidates
        ]

    @property
    def _margin(self) -> Margin:
        return margin_of(self._metric, self._mode, mean_of(self._incumbent.scores), self._rows)


def mean_of(scores: Sequence[float | None]) -> float | None:
    """Return the mean of the scores that there are."""
    there = [score for score in scores if score is not None]
    return sum(there) / len(there) if there else None


def told(
    decision: Decision,
    candidates: Sequence[Candidate],
    scores: Mapping[str, tuple[float | None, ...]],
    records: RunRecords,
) -> dict[str, Any]:
    """Return the decision and what it rests on, as plain values."""
    compared = {each.name: each.to_plain() for each in decision.comparisons}
    rows = [
        {
            **vars(each),
            "hyperparameters": dict(each.hyperparameters),
            "now": mean_of(scores.get(each.name, ())),
            "scores": list(scores.get(each.name, ())),
            "difference": compared.get(each.name),
        }
        for each in candidates
    ]
    correlation = rank_correlation([r["then"] for r in rows], [r["now"] for r in rows])
    return {
        "decision": decision.verdict,
        "exit_code": decision.exit_code,
        "why": decision.why,
        "best": decision.best,
        "metric": records.metric,
        "mode": records.mode,
        "margin": decision.margin,
        "rank_correlation": correlation and {"value": correlation[0], "of": correlation[1]},
        "configurations": rows,
    }


def _validation_rows(prepared: Prepared) -> int | None:
    dataset = getattr(prepared.trials, "dataset", None)
    return None if dataset is None else int(dataset.validation.rows)
