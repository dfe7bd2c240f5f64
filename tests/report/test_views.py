from __future__ import annotations

import io
import math

import pytest

from orchestrator.records import TrialEnd
from orchestrator.report import LiveView, NullView, PlainView, open_view
from orchestrator.report.chart import sparkline
from orchestrator.report.live.progress import Progress
from tests.report.driven import Driven


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def epoch(trial: str, number: int, value: float | None) -> dict:
    return {"trial": trial, "epoch": number, "metrics": {"val_accuracy": value}}


def plain(stream, clock=None):
    view = PlainView(4, 10, "val_accuracy", "max", stream)
    if clock:
        view.progress.now = clock
        view.progress.began = view._last_line = clock.time
    return Driven(view)


def live(monkeypatch, total=300, lines=24):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", str(lines))
    monkeypatch.setenv("TERM", "xterm")
    return Driven(LiveView(total, 27, "val_accuracy", "max", Terminal()))


@pytest.mark.parametrize("name", ["NO_COLOR", "CI"])
def test_plain_lines_are_chosen_where_redrawing_is_unwelcome(monkeypatch, name):
    for variable in ("NO_COLOR", "CI"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(open_view(4, 10, "m", "max", Terminal()), LiveView)
    assert isinstance(open_view(4, 10, "m", "max", io.StringIO()), PlainView)
    monkeypatch.setenv(name, "1")
    assert isinstance(open_view(4, 10, "m", "max", Terminal()), PlainView)


def test_the_plain_view_tells_new_bests_failures_and_the_end():
    stream = io.StringIO()
    with plain(stream) as view:
        view.trial_started("00000", {"learning_rate": 0.01})
        view.epochs([epoch("00000", 1, 0.5), epoch("00000", 2, 0.6)])
        view.epochs([epoch("00000", 3, 0.7)])
        view.trial_ended(TrialEnd("00000", "finished", 1.0))
        view.trial_started("00001", {})
        view.trial_ended(TrialEnd("00001", "failed", 1.0, None, "ValueError: no", "logs/00001.txt"))
        view.note("stopping\x1b[2J")
    lines = [line.split("] ", 1)[1] for line in stream.getvalue().splitlines()]
    assert lines == [
        "best val_accuracy 0.6, trial 00000 epoch 2: learning_rate 0.01",
        "trial 00001 failed: ValueError: no (logs/00001.txt)",
        "stopping\N{REPLACEMENT CHARACTER}[2J",
        "2/4 trials: 1 finished, 1 failed; best 0.7; about 0 s left",
    ]


def test_the_plain_view_tells_progress_at_most_once_in_five_seconds():
    stream, clock = io.StringIO(), Clock()
    view = plain(stream, clock)
    view.trial_started("00000", {})
    for number in range(1, 101):
        clock.time += 0.2
        view.epochs([epoch("00000", number, 0.1)])
    progress = [line for line in stream.getvalue().splitlines() if "/4 trials" in line]
    assert 3 <= len(progress) <= 4


def test_the_live_view_never_outgrows_the_terminal(monkeypatch):
    view = live(monkeypatch, lines=12)
    for index in range(40):
        view.trial_started(f"{index:05}", {"learning_rate": 0.1, "units": 100, "name": "x" * 99})
        view.epochs([epoch(f"{index:05}", number, index / 50) for number in range(1, 30)])
    lines = view.frame().plain.split("\n")
    assert len(lines) <= 11
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "and 34 more running"
    assert "00039" in lines[4]


def test_the_live_view_shows_counts_and_the_best_so_far(monkeypatch):
    view = live(monkeypatch)
    view.trial_started("00000", {"learning_rate": 0.01, "momentum": 0.9, "one_minus_momentum": 0.1})
    view.epochs([epoch("00000", 1, 0.75), epoch("00000", 2, math.nan), epoch("00000", 3, None)])
    text = view.frame().plain
    assert "0/300 trials" in text
    assert "best val_accuracy 0.75  trial 00000, epoch 1" in text
    assert "learning_rate 0.01, momentum 0.9\n" in text
    assert "▅××" in text
    view.trial_ended(TrialEnd("00000", "diverged", 1.0))
    assert "1 diverged" in view.frame().plain


def test_the_live_view_cleans_up_and_leaves_its_failures_and_a_summary(monkeypatch):
    view = live(monkeypatch, total=1)
    with view:
        view.trial_started("00000", {})
        view.trial_ended(TrialEnd("00000", "failed", 1.0, None, "ValueError: [red]no[/red]"))
        view.note("a [note]")
    output = view._console.file.getvalue()
    assert "ValueError: [red]no[/red]" in output
    assert "a [note]" in output
    assert "1/1 trials in 0 s: 1 failed" in output
    assert output.rindex("\x1b[?25h") > output.rindex("\x1b[?25l")


def test_the_null_view_shows_nothing(capsys):
    with Driven(NullView()) as view:
        view.trial_started("00000", {})
        view.epochs([epoch("00000", 1, 0.5)])
        view.trial_ended(TrialEnd("00000", "finished", 1.0))
        view.note("x")
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_the_time_left_counts_from_the_first_trial():
    clock = Clock()
    progress = Driven(Progress(4, 10, "val_accuracy", "max", now=clock))
    clock.time += 50
    progress.trial_started("00000", {})
    assert progress.time_left() == ""
    clock.time += 10
    for number in range(1, 11):
        progress.epoch(epoch("00000", number, 0.5))
    progress.trial_ended(TrialEnd("00000", "finished", 10.0))
    assert progress.time_left() == "about 30 s left"


def test_progress_keeps_nothing_of_trials_that_are_over():
    progress = Driven(Progress(10_000, 10, "val_accuracy", "max"))
    for index in range(1000):
        progress.trial_started(str(index), {"x": index})
        progress.epoch(epoch(str(index), 1, 0.5))
        progress.trial_ended(TrialEnd(str(index), "stopped", 1.0))
    assert progress.running == {}
    assert progress.counts == {"stopped": 1000}
    assert progress.best is not None and progress.best.trial == "0"


def test_a_sparkline_spans_its_range_and_marks_what_is_not_finite():
    assert sparkline([0.0, 0.5, 1.0, math.nan], 0, 1) == "▁▅█×"
    assert sparkline([0.3, 0.3], 0.3, 0.3) == "▅▅"
    assert sparkline([], 0, 1) == ""


def test_a_long_curve_is_thinned_and_ends_with_its_last_value():
    line = sparkline([0.0] * 999 + [1.0], 0, 1, width=10)
    assert len(line) == 10
    assert line[-1] == "█"


def test_a_trial_that_waits_for_its_promotion_is_not_counted_as_running():
    view = plain(io.StringIO())
    for trial in ("00000", "00001"):
        view.trial_started(trial, {})
        view.epochs([epoch(trial, 1, 0.5)])
    view.waits("00000")
    assert view.progress.counted() == "1 running, 1 paused"
    assert set(view.progress.running) == {"00001"}
    view.waits("00000", still=False)
    assert view.progress.counted() == "2 running"
