from __future__ import annotations

import io

import pytest

from orchestrator.records import TrialEnd
from orchestrator.report import PandaView, PlainPandaView, open_panda_view
from orchestrator.report.live.panda import day_marks
from tests.fortnight import ADA, FORTNIGHT, MAIN, START, day, entry, row
from tests.report.driven import Driven


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def tell(view, lines=FORTNIGHT):
    view.trial_started(MAIN, START)
    for line in lines:
        view.journal([line]) if "kind" in line else view.epochs([line])
    return view


@pytest.fixture
def live(monkeypatch):
    """Return a function that makes a live view on a terminal of 80 columns and some lines."""

    def make(lines=24, days=14):
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setenv("LINES", str(lines))
        monkeypatch.setenv("TERM", "xterm")
        return Driven(PandaView(days, "val_accuracy", "max", Terminal()))

    return make


def test_lines_are_chosen_where_redrawing_is_unwelcome(monkeypatch):
    for variable in ("NO_COLOR", "CI"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(open_panda_view(14, "m", "max", Terminal()), PandaView)
    assert isinstance(open_panda_view(14, "m", "max", io.StringIO()), PlainPandaView)


def test_the_live_view_shows_where_the_model_is_and_its_whole_living_curve(live):
    text = tell(live()).frame().plain.split("\n")
    assert text[0].startswith("day 3/14, epoch 4")
    assert text[1] == "val_accu… ▄▅▇█"
    assert text[2] == "day        1 2"
    assert text[3] == "abandoned ▂▁ epochs 3 to 4"


def test_the_live_view_sets_today_against_yesterday(live):
    view = tell(live())
    assert "today     epoch 4: val_accuracy 0.8 (+0.2000)" in view.frame().plain
    view.epochs([row(5, 0.7, 1)])
    assert "epoch 5: val_accuracy 0.7 (-0.1000), val_loss 0.3 (+0.1000)" in view.frame().plain


def test_the_live_view_shows_what_is_in_force_now(live):
    view = live()
    view.trial_started(MAIN, START)
    view.journal([entry("applied", 0, action="set", changes={"learning_rate": [0.1, 0.9]}, by=ADA)])
    assert "in force  learning_rate 0.9, momentum 0.9" in view.frame().plain


def test_the_live_view_shows_the_sitters_advice_and_the_journals_last_lines(live):
    text = tell(live()).frame().plain
    assert "sitter    advises (overfitting, day 2): add dropout" in text
    assert text.endswith("learning_rate 0.1 -> 0.03 (asked by ada@node3)")


def test_the_live_view_tells_advice_from_what_was_done(live):
    def said(done):
        view = live()
        view.trial_started(MAIN, START)
        facts = {"suggests": "lower it", "changes": {"learning_rate": [0.1, 0.05]}, "done": done}
        view.journal([entry("advice", 4, rule="plateau", **facts)])
        return view.frame().plain

    assert "sitter    advises (plateau, day 2; not done): lower it" in said(False)
    assert "sitter    acted (plateau, day 2): lower it" in said(True)


def test_the_live_view_never_outgrows_the_terminal(live):
    for height in (4, 8, 24):
        view = tell(live(height))
        for number in range(40):
            view.trial_started(f"branch{number}", {"name": "x" * 99})
            view.journal([entry("verdict", 1, trial=f"branch{number}", text="y" * 200)])
            view.epochs([row(epoch, 0.5, trial=f"branch{number}") for epoch in range(1, 200)])
        lines = view.frame().plain.split("\n")
        assert len(lines) <= max(height - 1, 1)
        assert max(map(len, lines)) <= 80


def test_a_paused_model_says_so_until_it_goes_on(live):
    view = tell(live())
    view.journal([entry("applied", 4, action="pause", by=ADA, changes={})])
    assert "paused" in view.frame().plain.split("\n")[0]
    view.journal([entry("applied", 4, action="continue", by=ADA, changes={})])
    assert "paused" not in view.frame().plain.split("\n")[0]


def test_a_view_of_nothing_is_drawn_too(live):
    assert live().frame().plain == "no trial has started"
    view = live()
    view.trial_started(MAIN, {})
    assert "no epoch has ended yet" in view.frame().plain


def test_the_live_view_leaves_failures_and_where_each_trial_ended(live):
    view = live()
    with view:
        tell(view)
        view.trial_ended(TrialEnd(MAIN, "failed", 1.0, None, "ValueError: [red]no[/red]"))
        view.note("a [note]")
    output = view._console.file.getvalue()
    assert "ValueError: [red]no[/red]" in output
    assert "a [note]" in output
    assert "00000: day 3/14, epoch 4, 0 s, failed" in output


def test_the_plain_view_writes_a_line_a_day_and_each_entry():
    stream = io.StringIO()
    with Driven(PlainPandaView(14, "val_accuracy", "max", stream)) as view:
        tell(view)
        view.trial_ended(TrialEnd(MAIN, "stopped", 1.0))
        view.note("stopping\x1b[2J")
    lines = [line.split("] ", 1)[1] for line in stream.getvalue().splitlines()]
    assert lines[0] == "00000 starts: learning_rate 0.1, momentum 0.9"
    assert lines[1] == "day 1 ended: val_accuracy 0.6, val_loss 0.4, 1 s, checkpoint 2 KB"
    assert lines[2].startswith("ada@node3 asked: set learning_rate 0.9")
    entries = sum("kind" in line for line in FORTNIGHT)
    assert len(lines) == 1 + entries + 2
    assert lines[-2:] == [
        "00000: day 3/14, epoch 4, 0 s, stopped",
        "stopping\N{REPLACEMENT CHARACTER}[2J",
    ]


def test_days_are_marked_below_their_last_epoch_where_there_is_room():
    assert day_marks([(2, 1), (4, 2)], 5, 80) == " 1 2"
    assert day_marks([(1, 1), (2, 2), (3, 3)], 3, 80) == "1 3"
    assert day_marks([(50, 9), (100, 10)], 100, 10) == "    9   10"


def test_a_days_end_is_not_its_own_yesterday(live):
    view = tell(live(), [row(1, 0.5), row(2, 0.6), day(1, 0.6)])
    assert "epoch 2: val_accuracy 0.6, " in view.frame().plain
