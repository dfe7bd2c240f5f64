"""A view as a driver shows things on it: in a few words a call."""

from __future__ import annotations

from orchestrator.records import TrialStarted, TrialWaits

TIME = "2026-11-05T10:00:00+00:00"


class Driven:
    """Events for a view or a progress; everything else is the view's own."""

    def __init__(self, view):
        self._view = view

    def _show(self, *events):
        if hasattr(self._view, "show"):
            return self._view.show(events)
        for event in events:
            self._view.apply(event)

    def __getattr__(self, name):
        return getattr(self._view, name)

    def __enter__(self):
        self._view.__enter__()
        return self

    def __exit__(self, *raised):
        self._view.__exit__(*raised)

    def trial_started(self, trial, hyperparameters, index=0):
        self._show(TrialStarted(trial, index, 1, hyperparameters, TIME))

    def epochs(self, rows):
        self._show(*rows)

    journal = epochs

    def epoch(self, row):
        self._show(row)

    def waits(self, trial, still=True):
        self._show(TrialWaits(trial, still))

    def trial_ended(self, end):
        self._show(end)
