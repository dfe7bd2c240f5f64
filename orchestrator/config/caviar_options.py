"""The options of many trials in parallel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from orchestrator.config.finalists_options import WrittenFinalists, modest
from orchestrator.config.lanes import Lanes, check_lanes
from orchestrator.config.rounds_options import RoundsOptions, WrittenRounds
from orchestrator.fields import Count, Flag, Named, Options, Referenced, field_error
from orchestrator.schedulers import SCHEDULERS, AshaOptions, PbtOptions, SchedulerOptions
from orchestrator.searchers import SEARCHERS, RandomOptions, SearcherOptions

Points = str | Annotated[tuple[dict[str, Any], ...], Field(strict=False)]


def _points(value: Any) -> Any:
    """Refuse in one sentence what is neither a word, a file nor a list of mappings."""
    items = value if isinstance(value, list | tuple) else [{}]
    is_list = all(isinstance(each, Mapping) and all(map(_is_text, each)) for each in items)
    if value and is_list and isinstance(value, str | list | tuple):
        return value
    what = "expected auto, none, a file such as ./points.yaml, or a list of mappings of hyperparameter to value"
    raise field_error(("caviar", "points"), what, value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


class CaviarOptions(Options):
    """Many trials in parallel: how many, how many at once, and what stops poor ones early."""

    extended_by: ClassVar[tuple[str, ...]] = ("num_samples", "epochs", "scheduler")
    """The options of an extension."""
    fixed: ClassVar[tuple[str, ...]] = ()
    """Keys of the experiment that an extension cannot change."""

    num_samples: Count = Field(default=64, description="How many trials are drawn from the space.")
    max_concurrent_trials: Count | Literal["auto"] = Field(
        default="auto",
        description="How many trials train at a time. `auto`: as many as the resources allow.",
    )
    lanes: Lanes = Field(
        default=1,
        description="How many trials one worker trains at a time, as lanes of one program, on `backend: jax`. `auto`:"
        " as many as train the most trials an hour, which is measured as the run begins. What cannot be trained so"
        " says why, and trains as ever.",
    )
    points: Annotated[
        Points, BeforeValidator(_points, json_schema_input_type=str | tuple[dict[str, Any], ...])
    ] = Field(
        default="auto",
        description="Known configurations, the first of the `num_samples` trials: a list such as `[{learning_rate: 0.1,"
        " units: 64}]`, of which each may leave out what is then drawn, or a file with one, `./points.yaml`; `{run:"
        " digits-mlp, best: 3}` in the list stands for the best trials (`best: 1`) of an earlier run. `auto`:"
        " those that come with a bundled search space. `none`: none.",
    )
    searcher: Annotated[SearcherOptions | Referenced, Named(SEARCHERS, "searcher")] = Field(
        default_factory=RandomOptions,
        description="What proposes the hyperparameters of each trial: `random` draws, each combination of a finite"
        " space once; `sobol` covers the space evenly; `grid` tries all combinations of a few values; `tpe`, `gp`,"
        " `cqr` and `priorband` learn from the trials before; or your own searcher, `./mine.py:Mine` or"
        " `{./mine.py:Mine: {first: 8}}`.",
    )
    scheduler: Annotated[SchedulerOptions | Referenced, Named(SCHEDULERS, "scheduler")] = Field(
        default_factory=AshaOptions,
        description="What stops poor trials early: `none`, `asha`, `pasha`, `hyperband`, `median`, `percentile`,"
        " `patient`, `pbt`, or one of them with options, such as `{asha: {reduction_factor: 4}}`; or your own"
        " scheduler, `./mine.py:Mine` or `{./mine.py:Mine: {patience: 3}}`.",
    )
    rounds: WrittenRounds = Field(
        default_factory=RoundsOptions,
        description="From coarse to fine: `3` or `auto` rounds, each with a space that follows from the trials before"
        " it; or a mapping with that as `number`, and options.",
    )
    reproducible: Flag = Field(
        default=False,
        description="`true`: the scheduler decides as if trials came in the order of their numbers, so that the same"
        " file gives the same table on any number of workers. A trial that comes to a decision too early waits for"
        " those before it, and its worker takes another one.",
    )
    finalists: WrittenFinalists = Field(
        default_factory=modest,
        description="The best configurations are trained again with fresh seeds, and the winner is chosen by those"
        " replicates: `true`, or a mapping such as `{top: 5, seeds: 5, budget: 25 %}`. `auto`: 3 of them with up to 3"
        " seeds, after a search that is large enough. `false`: never.",
    )

    def check_beside(self, kind: str, epochs: int, folds: int | None) -> None:
        """Refuse what does not suit trials of a ``kind`` and of so many epochs, on data of so many folds."""
        check_lanes("caviar", self.lanes, kind)
        if folds is not None and self.finalists.race is False:
            expected = "expected none beside caviar.finalists: false, since the folds after the first are for finalists"
            raise field_error(("data", "folds"), expected, folds)
        if not isinstance(self.scheduler, Referenced):
            self._check_population(kind)
            self._check_scheduler(self.scheduler, epochs)
        needed = self.rounds.fewest_trials()
        if self.num_samples < needed:
            expected = (
                f"expected at least {needed} trials for {self.rounds.number} rounds,"
                " or fewer rounds"
            )
            raise field_error(("caviar", "num_samples"), expected, self.num_samples)
        if self.reproducible:
            self._check_reproducible()

    def last_epoch(self, epochs: int) -> int:
        """Return the epoch that schedules look ahead to: the experiment's last one."""
        return epochs

    def _check_scheduler(self, scheduler: SchedulerOptions, epochs: int) -> None:
        fault = scheduler.fault(epochs)
        if fault is not None:
            [name] = self.model_dump()["scheduler"]
            key, expected, received = fault
            raise field_error(("caviar", "scheduler", name, key), expected, received)

    def _check_population(self, kind: str) -> None:
        """Refuse copies of trials of a ``kind`` whose states are not ours, and of differing spaces."""
        if not isinstance(self.scheduler, PbtOptions):
            return
        if kind != "keras":
            expected = "expected a scheduler that copies no trial, since they are no Keras models: asha, say"
            raise field_error(("caviar", "scheduler"), expected, "pbt")
        if self.rounds.number != 1:
            expected = "expected none beside scheduler: pbt, which changes hyperparameters itself"
            raise field_error(("caviar", "rounds"), expected, self.rounds.number)

    def _check_reproducible(self) -> None:
        """Refuse what depends on which trials came first in a way that waiting does not settle."""
        searcher, scheduler = self.searcher, self.scheduler
        written = self.model_dump()
        if isinstance(searcher, Referenced) or searcher.learns:
            able = ", ".join(name for name, kind in SEARCHERS.items() if not kind.learns)
            expected = (
                f"expected {able} beside reproducible: true, since others learn from who came first"
            )
            raise field_error(("caviar", "searcher"), expected, _name_of(written["searcher"]))
        if isinstance(scheduler, Referenced) or scheduler.in_logical_time() is None:
            able = ", ".join(n for n, kind in SCHEDULERS.items() if kind().in_logical_time())
            expected = (
                f"expected {able} beside reproducible: true, since others depend on who came first"
            )
            raise field_error(("caviar", "scheduler"), expected, _name_of(written["scheduler"]))


def _name_of(written: Any) -> Any:
    """Return the name in a written form of a searcher or scheduler."""
    return next(iter(written)) if isinstance(written, Mapping) else written
