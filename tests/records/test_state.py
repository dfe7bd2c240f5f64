"""One reducer: a driver as it happens, a reader file by file and a thin state come to the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.records import TrialEnd, TrialStarted
from orchestrator.records.state import RunState

TIME = "2026-11-05T10:00:00+00:00"
VALUES = st.sampled_from([0.1, 0.5, 0.5, 0.9, float("nan")])


def row(trial, epoch, value, stretch=0):
    metrics = {"val_accuracy": value, "val_loss": 1.0}
    return {
        "trial": trial,
        "epoch": epoch,
        "metrics": metrics,
        "seconds": 0.1,
        "stretch": stretch,
        "time": TIME,
    }


def entry(kind, trial, epoch, day, **more):
    about = {"kind": kind, "trial": trial, "epoch": epoch, "day": day, "time": TIME}
    return about | ({"metrics": {}} if kind == "day" else {}) | more


@st.composite
def lives(draw):
    """What happens to a few trials, each babysat: epochs, days, rollbacks, pauses, ends, one after another."""
    streams = []
    for index in range(draw(st.integers(1, 4))):
        trial = f"{index:05d}"
        events = [TrialStarted(trial, index, 1, {}, TIME, group=draw(st.sampled_from([1, 1, 2])))]
        epoch = stretch = 0
        for _ in range(draw(st.integers(0, 8))):
            match draw(st.sampled_from(["epoch", "epoch", "epoch", "back", "pause", "again"])):
                case "epoch":
                    epoch += 1
                    events.append(row(trial, epoch, draw(VALUES), stretch))
                    events.append(entry("day", trial, epoch, epoch, stretch=stretch))
                case "back" if epoch:
                    epoch, stretch = draw(st.integers(0, epoch - 1)), stretch + 1
                    about = {"action": "rollback", "to_epoch": epoch, "stretch": stretch}
                    events.append(entry("applied", trial, epoch, epoch, **about))
                case "pause":
                    action = draw(st.sampled_from(["pause", "continue"]))
                    events.append(entry("applied", trial, epoch, epoch, action=action))
                case "again":
                    events.append(TrialEnd(trial, "interrupted", 1.0, time=TIME))
                    events.append(TrialStarted(trial, index, 1, {}, TIME, group=events[0].group))
        if draw(st.booleans()):
            events.append(TrialEnd(trial, draw(st.sampled_from(["finished", "stopped"])), 1.0))
        streams.append(events)
    whole = []
    while any(streams):
        stream = draw(st.sampled_from([stream for stream in streams if stream]))
        whole.append(stream.pop(0))
    return whole


def file_of(event):
    if isinstance(event, TrialStarted | TrialEnd):
        return "trials"
    return "journal" if "kind" in event else "epochs"


def folded(events, asking=False, thin=False):
    state = RunState("val_accuracy", "max", thin=thin)
    for event in events:
        state.apply(event)
        if asking:
            told(state)
    return told(state)


def told(state):
    names = sorted(state.trials)
    return {
        "leader": state.leader,
        "ranked": [trial.trial for trial in state.ranked],
        "scores": [state.score_of(name) for name in names],
        "counts": (state.done, state.epochs, state.group, state.open, state.paused),
        "last": [state.history(name).last_epoch for name in names if state.score_of(name)],
    }


@given(lives(), st.permutations(["trials", "journal", "epochs"]))
def test_the_order_between_files_does_not_count(events, files):
    by_file = [event for file in files for event in events if file_of(event) == file]
    assert folded(by_file) == folded(events)


@given(lives())
def test_being_asked_in_between_changes_nothing(events):
    assert folded(events, asking=True) == folded(events)


@given(lives())
def test_a_driver_that_lets_go_of_epochs_knows_the_same(events):
    assert folded(events, thin=True) == folded(events)


def test_a_rollback_takes_the_lead_away():
    state = RunState("val_accuracy", "max")
    for event in (
        TrialStarted("a", 0, 1, {}, TIME),
        TrialStarted("b", 1, 1, {}, TIME),
        row("a", 1, 0.5),
        row("b", 1, 0.6),
        row("a", 2, 0.9),
    ):
        state.apply(event)
    assert state.leader == "a"
    about = {"action": "rollback", "to_epoch": 1, "stretch": 1}
    state.apply(entry("applied", "a", 2, 2, **about))
    assert (state.leader, state.score_of("a").value) == ("b", 0.5)
    state.apply(row("a", 2, 0.7, stretch=1))
    assert (state.leader, state.score_of("a").value) == ("a", 0.7)


def test_a_newer_group_leads_whatever_its_values():
    state = RunState("val_accuracy", "max")
    state.apply(TrialStarted("a", 0, 1, {}, TIME))
    state.apply(row("a", 1, 0.9))
    state.apply({"event": "extended", "time": TIME, "group": 2, "changes": {}, "forced": ["data"]})
    assert (state.leader, state.group) == (None, 2)
    state.apply(TrialStarted("b", 1, 1, {}, TIME, group=2))
    state.apply(row("b", 1, 0.1))
    assert (state.leader, [trial.trial for trial in state.ranked]) == ("b", ["b", "a"])
