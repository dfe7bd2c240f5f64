"""What speaks for and against a run's old model today: the data then and now, its scores, versions, code, hardware."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.catalog import CallableReference, find_data, is_mark
from orchestrator.drift.finding import LEVEL, LOST, SURE, Finding, less, variation
from orchestrator.drift.profile import READ_FOR_EACH, Profile, most_rows, profile_of, raw_rows
from orchestrator.drift.shifts import shifts
from orchestrator.errors import OrchestratorError
from orchestrator.experiment.compatibility import recorded_experiment, unlike_surroundings
from orchestrator.experiment.config_drift import other_versions
from orchestrator.experiment.data_profile import PROFILE
from orchestrator.experiment.manifest import surroundings_of
from orchestrator.experiment.prepared import Prepared
from orchestrator.experiment.winner import form_of, learnt_of, load_winner
from orchestrator.records import RunRecords
from orchestrator.records.run import effective_manifest

if TYPE_CHECKING:
    from orchestrator.data import Dataset, StreamedDataset
    from orchestrator.training.old_model import Reaction

JUDGED_ROWS = 5_000
OFF, WIDER = 0.5, 1.5
"""By how many recorded standard deviations, and how many times, a layer's inputs may be off before that is one."""
LEAST_OUTPUTS = 0.1


@dataclass(frozen=True)
class Evidence:
    """A run and what is around it today; ``builder`` is the model's, where it was given in Python."""

    records: RunRecords
    prepared: Prepared
    source: str | None
    builder: CallableReference | None = None

    def to_plain(self) -> dict[str, Any]:
        """Return what a re-evaluation's record holds of it."""
        dataset = self._dataset
        old_model, findings = self._of_old_model()
        found = [*self._of_data(findings), *self._of_surroundings()]
        return {
            "data": dataset
            and {
                "source": self.source or dataset.source,
                "fingerprint": dataset.fingerprint,
                "unchanged": self._unchanged,
                "rows": {p: getattr(dataset, p).rows for p in ("train", "validation", "test")},
                "compared": self._compared,
            },
            "old_model": old_model,
            "drift": [each.to_plain() for each in found],
        }

    @property
    def _dataset(self) -> Dataset | StreamedDataset | None:
        return getattr(self.prepared.trials, "dataset", None)

    @property
    def _then(self) -> Mapping[str, Any]:
        return effective_manifest(self.records).get("data") or {}

    @property
    def _unchanged(self) -> bool:
        return self._dataset is not None and self._dataset.fingerprint == self._then.get(
            "fingerprint"
        )

    @property
    def _compared(self) -> list[str]:
        """Say which rows are compared, of then and of today, where those are not all of them."""
        if self._unchanged or self._today is None or self._of_then is None:
            return []
        both = {"then": self._of_then, "today": self._today}
        return [said for when, side in both.items() if (said := side.sample_said(when))]

    @cached_property
    def _today(self) -> Profile | None:
        return None if self._dataset is None else profile_of(self._dataset)

    @cached_property
    def _of_then(self) -> Profile | None:
        """The training rows of then: those of the old source where that is as it was, else what the run kept."""
        if self._unchanged:
            return self._today
        there = self._old_source()
        if there is not None:
            return profile_of(there)
        file = self.records.folder.path / PROFILE
        with contextlib.suppress(OSError, ValueError, KeyError):
            return Profile.from_bytes(file.read_bytes())
        return None

    def _old_source(self) -> Dataset | StreamedDataset | None:
        experiment = recorded_experiment(self.records)
        options = experiment.data
        # Without --data the old source is today's: what it was is gone.
        if self.source is None or options is None or is_mark(options.source):
            return None
        from orchestrator.data import load_dataset

        with contextlib.suppress(OrchestratorError):
            reference = find_data(options.source, experiment.folder)
            found = load_dataset(reference, options, experiment.seed, experiment.task)
            if found.fingerprint == self._then.get("fingerprint"):
                return found
        return None

    def _of_data(self, of_model: list[Finding]) -> Iterator[Finding]:
        """Yield what differs in the data; that the old model falls where nothing else does means other labels."""
        if self._unchanged or self._today is None:
            return
        if self._of_then is None:
            said = f"features and labels were not compared: the rows of then are gone, and there is no {PROFILE}"
            yield Finding("not compared", said)
            yield from of_model
            return
        found = shifts(self._of_then, self._today)
        yield from found
        yield from of_model
        known = {each.what for each in found}
        fell = any(each.what == "old model" for each in of_model)
        if fell and not known & {"features together", "concept", "new class"}:
            rest = " but for the features named above" if "features" in known else ""
            said = f"concept: the old model errs more on rows that look as they did{rest}: do the labels mean the same?"
            yield Finding("concept", said)

    def _of_surroundings(self) -> Iterator[Finding]:
        for name, (before, now) in other_versions(self.records).items():
            yield Finding(
                "versions",
                f"version: {name} {before or 'none'} -> {now or 'none'}",
                None,
                None,
                (name,),
            )
        machine = self.records.manifest.get("machine") or {}
        here = {"platform": platform.platform(), "cores": self.prepared.cores}
        for name, found in here.items():
            if machine.get(name) not in (None, found):
                said = f"hardware: {name} {machine[name]} -> {found}"
                yield Finding("hardware", said, None, None, (name,))
        for what, said in unlike_surroundings(self.records, surroundings_of(self.prepared)):
            if what != "data":
                yield Finding(
                    "code" if what != "settings" else "settings", said, None, None, (what,)
                )

    def _of_old_model(self) -> tuple[dict[str, Any] | None, list[Finding]]:
        """Return what the old model scores today, and what it and its layers make of today's rows."""
        dataset = self._dataset
        if dataset is None:
            return None, []
        try:
            model = load_winner(self.records, self.builder)
            now, rows = self._score(model, dataset)
            reactions = self._reactions(model)
        except OrchestratorError as error:
            return {"said": f"could not be asked: {error}", "then": None, "now": None}, []
        name, then, rows_then = self._recorded(now)
        found = list(_reacted(*reactions, learnt_of(self.records).classes)) if reactions else []
        said = (
            f"{name} {_figure(then)} then, {_figure(now.get(name))} on today's {rows} judging rows"
        )
        told = {"metric": name, "then": then, "now": now.get(name), "rows": rows, "said": said}
        if then is not None and name == "accuracy" and name in now:
            p = less(then, rows_then, now[name], rows)
            if p < SURE and then - now[name] >= LOST:
                fell = Finding("old model", f"old model: {said}", then - now[name], p)
                found.insert(0, fell)
        return told, found

    def _recorded(self, now: Mapping[str, float]) -> tuple[str, float | None, int]:
        """Return the metric that is compared, its recorded score on the validation rows, and how many those were."""
        recorded = (self.records.winner or {}).get("validation") or {}
        asked = self.records.metric.removeprefix("val_")
        name = asked if asked in now else next(iter(now), asked)
        return name, recorded.get(name), int((self._then.get("rows") or {}).get("validation") or 0)

    def _score(
        self, model: Any, dataset: Dataset | StreamedDataset
    ) -> tuple[dict[str, float], int]:
        from orchestrator.training.old_model import reaction

        x, labels = _validation(dataset)
        found = reaction(model, raw_rows(x, dataset), form_of(self.records).table)
        learnt = learnt_of(self.records)
        rows = len(labels) if hasattr(labels, "__len__") else 0
        if found.outputs is None:
            return {}, rows
        if learnt.classes and dataset.labels.classes and learnt.kind != "regression":
            names = np.array(dataset.labels.classes)[dataset.labels.view(labels, "codes")]
            return _right(found.outputs, names, learnt.classes), rows
        if dataset.labels.form in ("quantities", "classes"):
            truth = dataset.labels.view(labels, "columns")
            if truth.shape == found.outputs.shape:
                error = np.abs(found.outputs - truth)
                return {"mae": float(error.mean()), "mse": float((error**2).mean())}, rows
        return {}, rows

    def _reactions(self, model: Any) -> tuple[Reaction, Reaction] | None:
        """Return what the old model makes of training rows of then and of today; None where those are not at hand."""
        from orchestrator.training.old_model import reaction

        if self._unchanged or self._of_then is None or self._today is None:
            return None
        table = form_of(self.records).table
        both = [_rows_of(each, table) for each in (self._of_then, self._today)]
        if any(each is None for each in both):
            return None
        return reaction(model, both[0], table), reaction(model, both[1], table)


def _rows_of(profile: Profile, table: Any) -> Any:
    if table is None or profile.x is not None or not profile.rows:
        return profile.x if profile.rows else None
    numbers = {name: profile.numbers[:, at] for at, name in enumerate(profile.names)}
    return {**numbers, **profile.texts}


def _validation(dataset: Dataset | StreamedDataset) -> tuple[Any, Any]:
    """Return validation rows, as the dataset has them, and their labels as the user gave them."""
    from orchestrator.data import Dataset, map_tree

    if isinstance(dataset, Dataset):
        split = dataset.validation
        return map_tree(lambda each: each[:JUDGED_ROWS], split.x), split.labels[:JUDGED_ROWS]
    most = most_rows(dataset.input_shape, JUDGED_ROWS)
    found = dataset.viewed("given").validation.sample(most, READ_FOR_EACH * most)
    return found.x, found.y


def _right(outputs: Any, names: Any, classes: tuple[str, ...]) -> dict[str, float]:
    """Return the accuracy of outputs by class, or of one sigmoid unit; a class that the model lacks is always wrong."""
    if outputs.shape[1] == len(classes):
        chosen = outputs.argmax(axis=1)
    elif outputs.shape[1] == 1 and len(classes) == 2:
        chosen = (outputs[:, 0] > 0.5).astype(int)
    else:
        return {}
    return {"accuracy": float((np.array(classes)[chosen] == names).mean())}


def _reacted(before: Reaction, after: Reaction, classes: tuple[str, ...]) -> Iterator[Finding]:
    """Yield how outputs and the inputs of BatchNormalization layers differ, the layer that is most off first."""
    if before.outputs is not None and after.outputs is not None and before.outputs.shape[1] > 1:
        units = before.outputs.shape[1]
        answers = [np.asarray(each.outputs).argmax(axis=1) for each in (before, after)]
        counts = np.array([np.bincount(each, minlength=units) for each in answers])
        distance, p = variation(counts)
        if p < LEVEL and distance >= LEAST_OUTPUTS:
            shares = counts / counts.sum(axis=1, keepdims=True)
            at = int(np.abs(shares[1] - shares[0]).argmax())
            name = classes[at] if len(classes) == units else str(at)
            said = (
                f"outputs: {distance:.0%} of the old model's answers are of another class; {name}"
                f" {shares[0, at]:.0%} -> {shares[1, at]:.0%}"
            )
            yield Finding("outputs", said, distance, p, (name,))
    gaps = []
    for name, (off, wide) in after.layers.items():
        off_then, wide_then = before.layers.get(name, (0.0, 1.0))
        ratio = wide / wide_then if wide_then else wide
        if off - off_then > OFF or max(ratio, 1 / ratio) > WIDER:
            gaps.append((off, name, off_then, wide))
    for off, name, off_then, wide in sorted(gaps, reverse=True):
        said = (
            f"batch norm: what comes into {name} lies {off:.2f} recorded standard deviations off its moving mean"
            f" ({off_then:.2f} then), {wide:.2f} times as spread"
        )
        yield Finding("batch norm", said, off, None, (name,))


def _figure(value: float | None) -> str:
    return "not recorded" if value is None else f"{value:.4g}"
