"""How long a run and its trials may go on, and what is tried again."""

from __future__ import annotations

from pydantic import Field

from orchestrator.config.duration import Duration, Time
from orchestrator.fields import Count, Options, Whole


class LimitOptions(Options):
    """Where a trial or the whole run ends early. What is left out is not limited.

    A run that meets a limit ends as a finished one does, with its table and winner, and says which limit it was.
    """

    max_trial_time: Time | None = Field(
        default=None,
        description="Wall-clock time of a trial, over all its sittings; one that does not come back is killed.",
    )
    max_run_time: Time | None = Field(
        default=None, description="Wall-clock time of the run, over all its sittings."
    )
    max_trials: Count | None = Field(default=None, description="Trials that are started.")
    max_epochs: Count | None = Field(default=None, description="Epochs, of all trials together.")
    max_failed_trials: Whole | None = Field(
        default=None, description="Failed trials; one more and the run is given up."
    )


class RetryOptions(Options):
    """What becomes of a trial that was lost through no fault of its own."""

    times: Whole = Field(
        default=3,
        description="How often a trial is tried again whose worker died, was preempted or ran out of memory.",
    )
    wait: Time = Field(
        default=Duration(5, "second"),
        description="Time before the first retry; it doubles with each further one.",
    )
