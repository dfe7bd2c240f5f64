from __future__ import annotations

import io

import pytest

from orchestrator.records import TrialEnd
from orchestrator.report import PandaView, PlainPandaView, open_panda_view
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


def test_the_live_view_has_the_label_whole_and_what_was_abandoned(live):
    text = tell(live()).frame().plain.split("\n")
    assert text[0].startswith("day 3/14, epoch 4")
    assert text[1].startswith("val_accuracy, day 2   all days ▄▅▇█")
    assert text[2] == "abandoned ▂▁ epochs 3 to 4"
    assert any(line.startswith("0.8 ┤") for line in text)


def test_the_curve_is_drawn_of_the_last_days_alone_with_numbers_of_that_range(live):
    days = [
        line
        for d in range(1, 13)
        for line in (row(2 * d - 1, d / 20), row(2 * d, d / 20), day(d, d / 20))
    ]
    view = tell(live(40), days)
    text = view.frame().plain
    assert "val_accuracy, days 8 to 12" in text
    assert " 0.6 ┤" in text and "0.35 ┤" in text and "day 12" in text
    view.press("a")
    assert "val_accuracy, days 1 to 12" in view.frame().plain and "0.05 ┤" in view.frame().plain


def test_training_is_drawn_beside_validation_where_it_was_recorded(live):
    rows = [row(e, e / 10) for e in range(1, 6)]
    for each in rows:
        each["metrics"]["accuracy"] = each["metrics"]["val_accuracy"] + 0.1
    text = tell(live(), rows).frame().plain
    assert "validation ⣀⡠⠊   training ···" in text and "0.6 ┤" in text


def test_the_live_view_sets_today_against_yesterday(live):
    view = tell(live())
    assert "val_accuracy         0.8         0.6        +0.2 better" in view.frame().plain
    view.epochs([row(5, 0.7, 1)])
    text = view.frame().plain
    assert "val_accuracy         0.7         0.8        -0.1 worse" in text
    assert "val_loss             0.3         0.2        +0.1 worse" in text


def test_the_live_view_shows_what_is_in_force_now(live):
    view = live()
    view.trial_started(MAIN, START)
    view.journal([entry("applied", 0, action="set", changes={"learning_rate": [0.1, 0.9]}, by=ADA)])
    assert "in force  learning_rate 0.9, momentum 0.9" in view.frame().plain


def test_the_live_view_shows_the_sitters_advice_and_the_journals_last_lines(live):
    text = tell(live(40)).frame().plain
    assert "ADVICE    sitter advises (overfitting, day 2): add dropout" in text
    assert (
        "\nbranched off gentle at day 2: learning_rate 0.1 -> 0.03 (asked by ada@node3)\n" in text
    )


def test_the_live_view_tells_advice_from_what_was_done(live):
    def said(done):
        view = live()
        view.trial_started(MAIN, START)
        facts = {"suggests": "lower it", "changes": {"learning_rate": [0.1, 0.05]}, "done": done}
        view.journal([entry("advice", 4, rule="plateau", **facts)])
        return view.frame().plain

    assert "ADVICE    sitter advises (plateau, day 2; not done): lower it" in said(False)
    assert "type      orchestrator set RUN learning_rate=0.05" in said(False)
    assert "DONE      sitter acted (plateau, day 2): lower it" in said(True)


def test_advice_and_deed_have_colours_of_their_own_and_a_verdict_is_whole(live):
    view = tell(live(40))
    view.journal([entry("verdict", 4, text="it is " + "very " * 40 + "tired")])
    frame = view.frame()
    styles = {frame.plain[span.start : span.end]: str(span.style) for span in frame.spans}
    assert styles["sitter advises (overfitting, day 2): add dropout"] == "yellow"
    view.press("j")
    frame = view.frame()
    styles = {line.plain: str(line.style) for line in frame.split("\n")} | {
        frame.plain[span.start : span.end]: str(span.style) for span in frame.spans
    }
    assert styles["learning_rate 0.1 -> 0.9 (live) (asked by ada@node3)"] == "green"
    assert styles["sitter, overfitting, advises: add dropout"] == "yellow"
    view.press("j")
    frame = view.frame()
    words = " ".join(frame.plain.partition("verdict ")[2].partition("type ")[0].split())
    assert words == "it is " + "very " * 40 + "tired"


def test_what_to_type_fits_the_state_of_the_model(live):
    view = tell(live(40))
    assert "rollback RUN --to-day 2" in " ".join(view.frame().plain.split())
    view.journal([entry("applied", 4, action="pause", by=ADA, changes={})])
    assert "type      orchestrator continue RUN" in view.frame().plain
    view.trial_ended(TrialEnd(MAIN, "stopped", 1.0))
    assert "type      orchestrator best RUN" in view.frame().plain


def test_a_key_shows_the_whole_journal_and_arrows_scroll_it(live):
    view = tell(live(8))
    view.press("j")
    assert view.frame().plain.startswith("day 1 ended")
    view.press("down")
    assert view.frame().plain.startswith("ada@node3 asked: set learning_rate 0.9")
    view.press("j")
    assert view.frame().plain.startswith("day 3/14")


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
    assert live().frame().plain.startswith("no trial has started\n")
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


def test_a_days_end_is_not_its_own_yesterday(live):
    view = tell(live(), [row(1, 0.5), row(2, 0.6), day(1, 0.6)])
    assert "val_accuracy         0.6\n" in view.frame().plain
