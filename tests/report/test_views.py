from __future__ import annotations

import io
import math
import os
import pty
import sys
import termios
import time

import pytest

from orchestrator.records import TrialEnd
from orchestrator.report import LiveView, NullView, PlainView, open_view
from orchestrator.report.chart import sparkline
from orchestrator.report.live.progress import Progress
from orchestrator.report.live.terminal_view import pressed_keys
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
        "2/4 trials: 1 finished, 1 failed; best 0.7",
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
    assert any("00039" in line for line in lines)


def test_the_live_view_shows_counts_and_the_best_so_far(monkeypatch):
    view = live(monkeypatch)
    view.trial_started("00000", {"learning_rate": 0.01, "momentum": 0.9, "one_minus_momentum": 0.1})
    view.epochs([epoch("00000", 1, 0.75), epoch("00000", 2, math.nan), epoch("00000", 3, None)])
    text = view.frame().plain
    assert "0/300 trials" in text
    assert "1  00000  0.75" in text
    assert "▅××" in text and "3/27" in text
    assert "0.01" in text and "0.9" in text and "1-momentum" not in text
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
    progress = Driven(Progress(40, 10, "val_accuracy", "max", now=clock))
    clock.time += 50
    for trial in map(str, range(10)):
        assert progress.time_left() == ""
        progress.trial_started(trial, {})
        for number in range(1, 11):
            clock.time += 1
            progress.epoch(epoch(trial, number, 0.5))
        progress.trial_ended(TrialEnd(trial, "finished", 10.0))
    assert progress.time_left() == "about 5:00 left"


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


def populated(monkeypatch, lines=24, columns=80, trials=14):
    view = live(monkeypatch, total=40, lines=lines)
    monkeypatch.setenv("COLUMNS", str(columns))
    for index in range(trials):
        name = f"{index:05}"
        view.trial_started(name, {"rate": 0.1 * index, "momentum": 0.9, "optimizer": "sgd"}, index)
        view.epochs([epoch(name, number, index / 20 + number / 100) for number in (1, 2, 3)])
        if index % 2:
            stop = {"scheduler": "asha", "epoch": 3}
            view.trial_ended(TrialEnd(name, "stopped", 1.0, stop))
    return view


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (120, 40)])
def test_the_live_view_uses_its_room(monkeypatch, columns, lines):
    text = populated(monkeypatch, lines, columns).frame().plain.split("\n")
    assert [line.split()[1] for line in text if line[:1].isdigit() and "/27" in line] == [
        f"{index:05}" for index in range(13, 3, -1)
    ]
    assert "all: momentum 0.9, optimizer sgd" in text
    assert "in training" in text and len(text) <= lines - 1
    assert sum("/27" in line for line in text) == 10 + 7 - 5
    assert text[-1].endswith("Ctrl-C stops the run")


def test_the_rungs_are_a_funnel(monkeypatch):
    view = populated(monkeypatch)
    view.epochs([epoch("00012", number, 0.9) for number in range(4, 28)])
    assert "rungs  14 → 1 trials reached epochs 3, 27" in view.frame().plain
    wide = populated(monkeypatch, 50, 120)
    assert "rung  epoch    3  ████" in wide.frame().plain


def test_a_failure_is_shown_by_its_first_line_and_how_often(monkeypatch):
    view = populated(monkeypatch)
    for name in ("00002", "00004"):
        view.trial_ended(TrialEnd(name, "failed", 1.0, None, "ValueError: no", "logs/x.txt"))
    text = view.frame().plain
    assert "failed: 00002 and 1 more: ValueError: no (logs/x.txt)" in text
    view.press("f")
    assert "ValueError: no (00002, 00004; the whole error: logs/x.txt)" in view.frame().plain


def test_a_best_curve_stays_when_its_trial_is_over(monkeypatch):
    text = populated(monkeypatch).frame().plain
    [line] = [line for line in text.split("\n") if line.startswith("1  ") and "00013" in line]
    assert "▇██" in line or "███" in line or "▇▇█" in line


def test_the_phase_is_shown_while_nothing_trains(monkeypatch):
    view = live(monkeypatch)
    view.phase("compiling the first model")
    assert "compiling the first model …" in view.frame().plain
    view.phase(None)
    assert "compiling" not in view.frame().plain


def test_the_pace_is_shown(monkeypatch):
    view = live(monkeypatch)
    clock = Clock()
    view.progress.now = clock
    view.trial_started("00000", {})
    for number in range(1, 12):
        view.epochs([epoch("00000", number, 0.5)])
        clock.time += 0.5
    assert "2 epochs/s" in view.frame().plain


def test_keys_show_pages_and_scroll_them(monkeypatch):
    view = populated(monkeypatch, lines=10)
    view.press("b")
    first = view.frame().plain
    view.press("down")
    second = view.frame().plain
    assert "\n1   00013" in first and "\n1   00013" not in second and "00012" in second
    view.press("escape")
    assert "in training" in view.frame().plain


@pytest.mark.skipif(sys.platform == "win32", reason="no pty there")
def test_keys_are_read_from_a_terminal_whose_settings_come_back():
    program = """
import sys, time
from orchestrator.report.live.terminal_view import pressed_keys
heard = []
with pressed_keys(heard.append) as there:
    print("ready", there, flush=True)
    while len(heard) < 3:
        time.sleep(0.01)
print(heard, flush=True)
"""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", program])  # noqa: S606 (in the fork)
    before = termios.tcgetattr(terminal)
    read_until(terminal, "ready True")
    for key in (b"b", b"\x1b[A", b"\x1b[6~"):
        os.write(terminal, key)
        time.sleep(0.3)
    said = read_until(terminal, "]")
    after = termios.tcgetattr(terminal)
    os.waitpid(pid, 0)
    assert "['b', 'up', 'page down']" in said
    assert before[3] == after[3]


def read_until(terminal, words):
    text = ""
    while words not in text:
        text += os.read(terminal, 4096).decode()
    return text


def test_without_a_terminal_no_key_is_waited_for():
    with pressed_keys(print, io.StringIO()) as there:
        assert not there
