"""The commands that ask a model in training for something, and those that tell what became of it."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from orchestrator.records import RunWriter, acquire, requests_of, write_request
from tests.depth import in_depth
from tests.fortnight import MAIN, make_folder, write_fortnight
from tests.integration.people import until


@pytest.fixture
def folder(here):
    folder = make_folder(Path("runs"))
    write_fortnight(folder)
    lock = acquire(folder.driver_file)
    yield folder
    lock.release()


COMMANDS = {
    "set": (("digits", "learning_rate=0.01", "momentum=5e-1", "--why", "it bounces"), "set"),
    "pause": (("digits", "--why", "lunch"), "pause"),
    "continue": (("digits",), "continue"),
    "rollback": (("digits", "--to-day", 1), "rollback"),
    "branch": (("digits", "--at-day", 2, "--set", "learning_rate=3e-3", "--name", "b"), "branch"),
    "note": (("digits", "it looks better"), "note"),
    "stop": (("digits", "--at-day", 5), "stop"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_puts_one_request_down_and_says_where_to_look(cli, folder, command):
    arguments, action = COMMANDS[command]
    result = cli(command, *arguments, "--no-wait")
    assert result.exit_code == 0, result.stderr
    (asked,) = requests_of(folder)
    assert (asked.action, asked.trial) == (action, MAIN)
    assert result.stdout.startswith(f"asked trial {MAIN}: ")
    assert "orchestrator journal digits" in result.stdout


@pytest.fixture
def trainer(folder):
    """`trainer(kind, **facts)`: as soon as something is asked, an entry of the journal answers it."""
    threads = []

    def answers(kind, **facts):
        def answer():
            until(lambda: requests_of(folder))
            (asked,) = requests_of(folder)
            with RunWriter(folder) as writer:
                common = {"trial": MAIN, "epoch": 5, "day": 2, "stretch": 1, "request": asked.id}
                writer.journal([{"kind": kind, **common, **facts}])

        threads.append(threading.Thread(target=answer))
        threads[-1].start()

    yield answers
    for thread in threads:
        thread.join(300)


def test_what_became_of_a_request_is_said_at_once(cli, folder, trainer):
    trainer("applied", action="set", changes={"learning_rate": [0.1, 0.01]}, how="live", by="ada")
    result = cli("set", "digits", "learning_rate=0.01")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"asked trial {MAIN}: set learning_rate 0.01",
        "done after epoch 5: learning_rate 0.1 -> 0.01 (live)",
    ]


def test_a_refusal_by_the_trainer_is_exit_2_with_its_reason(cli, folder, trainer):
    trainer("refused", reason="units: expected a change that keeps the weights' shapes.")
    result = cli("set", "digits", "learning_rate=0.01")
    assert result.exit_code == 2
    assert (
        result.stderr
        == "error: refused: units: expected a change that keeps the weights' shapes.\n"
    )


def test_a_run_that_ends_before_it_answers_is_exit_2(cli, folder):
    def end():
        until(lambda: requests_of(folder))
        with RunWriter(folder) as writer:
            writer.event("run_finished")

    ending = threading.Thread(target=end)
    ending.start()
    result = cli("set", "digits", "learning_rate=0.01")
    ending.join(300)
    assert result.exit_code == 2
    assert "the run ended before this could be done" in result.stderr


def test_one_that_has_ended_when_the_answer_is_looked_for_is_exit_2(cli, folder, monkeypatch):
    def ask(where, request):
        asked = write_request(where, request)
        with RunWriter(folder) as writer:
            writer.event("run_finished")
        return asked

    monkeypatch.setattr("orchestrator.control.live_control.write_request", ask)
    result = cli("set", "digits", "learning_rate=0.01")
    assert result.exit_code == 2
    assert "the run ended before this could be done" in result.stderr


def test_what_is_asked_for_a_later_day_is_not_waited_for(cli, folder, monkeypatch):
    monkeypatch.setattr("orchestrator.control.Panda.answer", None)
    result = cli("set", "digits", "learning_rate=0.01", "--at-day", 5)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "to see the outcome: orchestrator journal digits" in result.stdout


def test_values_are_read_as_yaml_and_put_down_with_their_terms(cli, folder):
    cli(
        "set",
        "digits/gentle",
        "learning_rate=1e-2",
        "--no-wait",
        "--at-day",
        4,
        "--expect",
        "momentum=0.9",
    )
    (asked,) = requests_of(folder)
    assert asked.trial == "gentle"
    assert asked.arguments == {"changes": {"learning_rate": 0.01}}
    assert (asked.at_day, asked.expect) == (4, {"momentum": 0.9})


BAD = {
    "unknown hyperparameter": (("set", "digits", "learning_rat=1"), "Did you mean 'learning_rate'"),
    "wrong type": (("set", "digits", "learning_rate=fast"), "expected a finite number"),
    "no value": (("set", "digits", "learning_rate"), "expected name=value"),
    "twice": (("set", "digits", "momentum=0.5", "momentum=0.6"), "each name once"),
    "bad YAML": (("set", "digits", "momentum=[0.5"), "set momentum=[0.5"),
    "out of range": (("set", "digits", "learning_rate=7"), "--force"),
    "outdated": (
        ("set", "digits", "momentum=0.5", "--expect", "learning_rate=0.9"),
        "changed meanwhile",
    ),
    "no such day": (("rollback", "digits", "--to-day", 4), "has not been"),
    "no such epoch": (("rollback", "digits", "--to-epoch", 3), "Known: 0 (day 0)"),
    "no place": (("rollback", "digits"), "either --to-day or --to-epoch"),
    "a day that is over": (("pause", "digits", "--at-day", 1), "not over"),
    "no such trial": (("pause", "digits/gentel"), "Did you mean 'gentle'"),
    "no such run": (("pause", "digist"), "Did you mean 'digits'"),
    "name taken": (("branch", "digits", "--name", "gentle"), "no trial of the run has"),
    "bad name": (("branch", "digits", "--name", "../x"), "--name"),
    "an empty note": (("note", "digits", " "), "some text"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_asked_is_one_block_exit_2_and_leaves_no_trace(cli, folder, case):
    arguments, words = BAD[case]
    result = cli(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert words in " ".join(result.stderr.split())
    assert not folder.requests.exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_finished_run_and_a_caviar_can_be_asked_nothing(cli, folder, a_run, command):
    a_run("many", status="run_interrupted")
    with RunWriter(folder) as writer:
        writer.event("run_finished")
    arguments, _ = COMMANDS[command]
    for run, words in (("digits", "that is finished"), ("many", "a caviar")):
        result = cli(command, run, *arguments[1:])
        assert result.exit_code == 2
        assert words in " ".join(result.stderr.split())
        assert not (Path("runs") / run / "requests").exists()


def test_force_takes_a_value_outside_its_domain_with_a_warning(cli, folder):
    result = cli("set", "digits", "learning_rate=7", "--force", "--no-wait")
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: learning_rate: expected a value of its domain")
    assert requests_of(folder)[0].force


def test_a_request_to_an_interrupted_run_says_how_to_take_it_up(cli, folder):
    with RunWriter(folder) as writer:
        writer.event("run_interrupted")
    folder.driver_file.unlink()
    assert "orchestrator resume digits" in cli("pause", "digits").stderr


def test_the_journal_is_told_in_lines_that_fit(cli, folder):
    cli("note", "digits", "hello")
    lines = cli("journal", "digits").stdout.splitlines()
    assert lines[0].startswith("2026-03-01")
    assert lines[-1].endswith("(waiting)")
    assert any("[gentle]" in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_the_journal_of_one_trial_leaves_the_others_out(cli, folder):
    text = cli("journal", "digits/gentle").stdout
    assert "day 3 ended" in text
    assert "rolled back" not in text


def test_a_journal_without_entries_says_so(cli, here):
    with RunWriter(make_folder(Path("runs"), "young")) as writer:
        writer.trial_started(MAIN, 0, 7, {})
    assert cli("journal", "young").stdout == "the journal is empty\n"


def test_the_journal_and_the_days_are_given_in_every_format(cli, folder):
    rows = json.loads(cli("journal", "digits", "--format", "json").stdout)
    assert {row["kind"] for row in rows} >= {"asked", "applied", "refused", "effect", "day"}
    days = json.loads(cli("days", "digits", "--format", "json").stdout)
    assert [day["day"] for day in days] == [1, 2, 2, 3]
    assert cli("days", "digits/gentle", "--output", "days.csv").exit_code == 0
    assert Path("days.csv").read_text().startswith("day,state,epoch,val_accuracy,change,")


def test_the_days_are_followed_by_the_size_of_what_is_kept(cli, folder):
    lines = cli("days", "digits").stdout.splitlines()
    assert lines[-1] == f"3 days' ends are kept: 21 B in runs/digits/checkpoints/{MAIN}"
    assert max(map(len, lines)) <= 80


def test_comparing_sets_branches_beside_their_parents_and_tells_who_leads(cli, folder, a_run):
    a_run("many")
    text = cli("compare", "digits", "many").stdout
    assert "digits/gentle" in text
    assert "leads: val_accuracy 0.9" in text


def flip(file):
    content = bytearray(file.read_bytes())
    content[20] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("record", in_depth(["journal", "epochs"], "journal"))
def test_a_panda_whose_record_is_damaged_is_looked_at_and_asked_while_it_trains(
    cli, folder, record
):
    flip(folder.path / f"{record}.jsonl")
    for command in (("journal",), ("days",), ("show",), ("status",), ("note", "odd")):
        result = cli(command[0], "digits", *command[1:])
        assert result.exit_code == 0, result.stderr
        said = f"warning: runs/digits/{record}.jsonl, line 1: damaged and left out."
        assert result.stderr.count(said) == 1 and result.stderr.count("warning") == 1
    assert json.loads(cli("days", "digits", "--format", "json").stdout)


def test_a_damaged_panda_is_not_replayed(cli, folder):
    flip(folder.journal_file)
    result = cli("replay", "digits")
    assert result.exit_code == 2
    assert "journal.jsonl, line 1:" in " ".join(result.stderr.split())
