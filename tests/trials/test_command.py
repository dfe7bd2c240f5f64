"""Trials that run a program: what is heard of it, how it goes on, and that nothing of it is left."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress

import psutil
import pytest

from orchestrator.errors import TrialError
from orchestrator.search import TrialSpec
from orchestrator.trials import Progress, load_checkpoint
from orchestrator.trials.command import Template
from orchestrator.trials.printed_reports import Format
from orchestrator.trials.program import MOST_KEPT

REPORTS = """
for epoch in 1 2 3 4 5; do echo "{\\"epoch\\": $epoch, \\"val_loss\\": $1}"; done
"""
PATIENCE = 300.0


def session(workbench, trial="00000", text="a 'b' $(c)"):
    return workbench.session(TrialSpec(trial, 0, 7, {"rate": 0.5, "text": text}))


def advance(trial):
    progress = Progress()
    while not (progress.rows or progress.done):  # an epoch of seconds has nothing to tell meanwhile
        trial.advance(progress, 60.0)
    return progress


def values(progress):
    return [(row["epoch"], row["metrics"]["val_loss"]) for row in progress.rows]


def kept(tmp_path, stream="stdout", trial="00000"):
    return (tmp_path / "logs" / f"{trial}.{stream}.txt").read_text()


def until(condition):
    ends = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_json_lines_are_its_epochs_and_all_else_that_it_prints_is_kept(opened, tmp_path):
    workbench = opened(f"echo begins; echo wrong >&2\n{REPORTS}")
    progress = advance(session(workbench))
    assert values(progress) == [(epoch, 0.5) for epoch in range(1, 6)] and progress.done
    best = load_checkpoint(tmp_path / "checkpoints" / "00000.npz").about
    assert (best["epoch"], best["chosen"]["rate"]) == (1, 0.5)
    workbench.leave()
    assert kept(tmp_path).startswith("begins\n{") and kept(tmp_path, "stderr") == "wrong\n"


def test_a_value_is_one_argument_and_a_variable_and_a_part_of_a_file(opened, tmp_path):
    script = (
        "import json, os, sys; told = [sys.argv[1:], dict(os.environ), json.load(open(sys.argv[3]))]\n"
        "json.dump(told, open('told', 'w')); print(json.dumps({'val_loss': 1}))"
    )
    (tmp_path / "mine.py").write_text(script)
    words = (
        sys.executable,
        "-S",
        "mine.py",
        "--rate={rate}",
        "{text}",
        "{config}",
        "{seed}",
        "{epochs}",
    )
    advance(session(opened(*words, "{trial}", "{{}}", ("--no", "{absent}"), ("--t", "{text}"))))
    arguments, environment, config = json.loads((tmp_path / "told").read_text())
    text = "a 'b' $(c)"
    assert arguments[:2] == ["--rate=0.5", text]
    assert arguments[3:] == ["7", "5", "00000", "{}", "--t", text]
    assert config == {"rate": 0.5, "text": text}
    assert environment["ORCHESTRATOR_HP_TEXT"] == text
    assert environment["ORCHESTRATOR_SEED"] == "7"


def test_a_shell_takes_no_value_for_a_part_of_its_text(opened, tmp_path):
    command = Template(("printf '{{\"val_loss\": %s}}\\n' {rate} | cat; echo {text} > said",), True)
    text = '"; touch broken; `touch broken` $(touch broken)'
    progress = advance(session(opened("", command=command), text=text))
    assert values(progress) == [(1, 0.5)] and progress.done
    assert (tmp_path / "said").read_text() == f"{text}\n"
    assert not (tmp_path / "broken").exists()


ONE = {"val_loss": 1.0}
LOSSES = Format(metrics={"loss": r"^loss (\S+)", "val_loss": r"^val (\S+)"})
NUMBERED = Format(metrics={"val_loss": r"val: ([\d.]+)"}, epoch=r"epoch (\d+)")


@pytest.mark.parametrize(
    ("script", "form", "expected"),
    [
        ('echo \'{"val_loss": 1, "note": "x", "time": 3}\'', Format(), [ONE]),
        (
            'echo \'{"epoch": 1, "loss": 2}\'; echo \'{"epoch": 1, "val_loss": 1}\'',
            Format(),
            [{"loss": 2.0, "val_loss": 1.0}],
        ),
        ('echo \'{"epoch": 0, "val_loss": 1}\'', Format(first=0), [ONE]),
        ("echo epoch 1; printf '10%%\\r20%%\\rval: 1\\n' >&2", NUMBERED, [ONE]),
        (
            "printf 'loss 3\\nval 2\\nloss 2\\nval 1'",
            LOSSES,
            [{"loss": 3.0, "val_loss": 2.0}, {"loss": 2.0, "val_loss": 1.0}],
        ),
        ("printf '\\377\\000{}\\n[1]\\n{\"val_loss\": 1}'", Format(), [ONE]),
        ("head -c 3000000 /dev/zero; printf '\\n{\"val_loss\": 1}\\n'", Format(), [ONE]),
        ("printf '{\"val_loss\": 1}\\n'; exec >&-; sleep 0.1", Format(), [ONE]),
    ],
    ids=[
        *("texts", "two lines", "from zero", "expressions", "an epoch in two lines"),
        *("binary", "a huge line", "closes stdout"),
    ],
)
def test_what_is_a_report(opened, script, form, expected):
    progress = advance(session(opened(script, format=form)))
    assert [row["metrics"] for row in progress.rows] == expected and progress.done


@pytest.mark.parametrize("written", ["nan", "-inf", "Infinity", "null", "-NaN"])
def test_a_loss_that_is_no_number_has_diverged_however_it_is_printed(opened, written):
    progress = advance(session(opened(f'echo \'{{"loss": {written}, "val_loss": 1}}\'')))
    assert progress.diverged and len(progress.rows) == 1


@pytest.mark.parametrize(
    ("script", "rows", "said"),
    [
        (
            "echo '{\"val_loss\": 1}'; echo no memory >&2; exit 3",
            1,
            "the program ended with exit code 3: no memory.",
        ),
        ("kill -11 $$", 0, "the program was ended by signal 11 (SIGSEGV)"),
        ("exit 0", 0, "expected at least one report of its metrics"),
        (
            'printf \'{"val_loss": 1}\\n{"val_l\'',
            1,
            "expected whole reports. Received: '{\"val_l'",
        ),
        (
            'printf \'{"epoch": 1, "val_loss": 1}\\n{"epoch": 3, "val_loss": 1}\\n\'',
            1,
            "expected a report of epoch 2, the next one. Received: 3",
        ),
        (
            'echo \'{"epoch": 0, "val_loss": 1}\'',
            0,
            "expected 1 as the first epoch, or first_epoch: 0. Received: 0",
        ),
        (
            'printf \'{"epoch": 1, "loss": 1}\\n{"epoch": 2, "loss": 1}\\n\'',
            0,
            "expected val_loss of epoch 1 before another epoch. Received: ['loss']",
        ),
        (
            'echo \'{"epoch": 1, "loss": 1}\'',
            0,
            "expected val_loss of each epoch. Received: ['loss']",
        ),
        (
            'echo \'{"epoch": "one", "val_loss": 1}\'',
            0,
            "expected a whole number as epoch. Received: 'one'",
        ),
        ('echo \'{"val_loss": "low"}\'', 0, "expected a number as val_loss. Received: 'str'"),
    ],
)
def test_what_is_wrong_is_said_and_loses_no_epoch_before_it(opened, script, rows, said):
    progress = Progress()
    workbench = opened(script)
    with pytest.raises(TrialError) as caught:
        session(workbench).advance(progress, 60.0)
    assert said in str(caught.value) and len(progress.rows) == rows
    workbench.leave()


def test_expressions_that_do_not_come_once_an_epoch_are_refused(opened):
    with pytest.raises(TrialError, match="expected loss before val_loss again, each once an epoch"):
        advance(session(opened("echo val 1; echo val 2", format=LOSSES)))


def test_a_program_that_cannot_be_run_fails_its_trial_alone(opened, tmp_path):
    (tmp_path / "broken").write_text("\x7fELF")
    (tmp_path / "broken").chmod(0o755)
    workbench = opened("./broken", "{rate}")
    with pytest.raises(TrialError, match=r"the program could not be started: .*Exec format error"):
        advance(session(workbench))
    workbench = opened(REPORTS)
    assert len(advance(session(workbench, "00001")).rows) == 5


def test_a_flood_is_kept_at_both_ends_alone(opened, tmp_path):
    script = "yes flood | head -c 5000000; echo; echo '{\"val_loss\": 1}'; echo ends"
    workbench = opened(script)
    trial = session(workbench)
    assert values(advance(trial)) == [(1, 1.0)]
    workbench.leave()
    text = kept(tmp_path)
    assert len(text) < 1.5 * MOST_KEPT and "bytes left out ...]\n" in text
    assert text.startswith("flood\n") and text.endswith('{"val_loss": 1}\nends\n')


def test_it_is_paused_until_the_next_epoch_is_asked_for(opened, tmp_path):
    script = "for e in 1 2 3 4 5; do echo '{\"val_loss\": 1}'; sleep 0.05; done"
    trial = session(opened(script, milestones=frozenset({2, 3})))

    def is_paused():
        return any(
            psutil.Process(pid).status() == psutil.STATUS_STOPPED for pid in sleeping(tmp_path)
        )

    assert [row["epoch"] for row in advance(trial).rows] == [1, 2]
    until(is_paused)
    assert [row["epoch"] for row in advance(trial).rows] == [3]
    until(is_paused)
    assert [row["epoch"] for row in advance(trial).rows] == [4, 5]


def test_one_without_states_runs_again_and_what_was_recorded_stays(opened):
    script = 'echo >> runs; for e in 1 2 3 4 5; do echo "{\\"val_loss\\": $(wc -l < runs)}"; done'
    workbench = opened(script, milestones=frozenset({2}))
    assert values(advance(session(workbench))) == [(1, 1.0), (2, 1.0)]
    again = session(workbench)
    assert values(advance(again)) == [(1, 1.0), (2, 1.0)], "told again"
    assert values(advance(again)) == [(3, 2.0), (4, 2.0), (5, 2.0)]


TREE = """
setsid sleep 1000 &
sleep 1000 &
(trap '' TERM; sleep 1000 & wait) &
echo $! > inner; echo '{"val_loss": 1}'
trap '' TERM
while true; do sleep 0.1; done
"""


def sleeping(tmp_path):
    """Return what still runs of the programs that were started in this folder."""
    found = []
    for process in psutil.process_iter(["pid"]):
        try:
            if process.cwd() == str(tmp_path) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def test_a_tree_that_ignores_sigterm_is_ended_to_its_last_leaf(opened, tmp_path):
    workbench = opened(TREE, milestones=frozenset({1}))
    advance(session(workbench))
    assert len(sleeping(tmp_path)) >= 5
    workbench.leave()
    assert sleeping(tmp_path) == []


def test_it_may_end_politely(opened, tmp_path):
    script = "trap 'echo saved > saved; exit 0' TERM; echo '{\"val_loss\": 1}'; while true; do sleep 0.05; done"
    workbench = opened(script, milestones=frozenset({1}), grace=PATIENCE)
    advance(session(workbench))
    workbench.leave()
    assert (tmp_path / "saved").read_text() == "saved\n"


def test_what_it_leaves_running_is_ended_with_it(opened, tmp_path):
    workbench = opened("setsid sleep 1000 & sleep 1000 & echo '{\"val_loss\": 1}'")
    assert advance(session(workbench)).done
    workbench.leave()
    assert sleeping(tmp_path) == []


def test_one_that_has_reported_all_epochs_is_let_to_its_end(opened, tmp_path):
    workbench = opened(f"{REPORTS}\nsleep 0.2; echo whole > saved", grace=PATIENCE)
    assert advance(session(workbench)).done
    workbench.leave()
    assert (tmp_path / "saved").read_text() == "whole\n"


@pytest.fixture
def worker(opened, tmp_path):
    """Yield the process ids of a worker in which such a tree runs, of its child, and of the supervisor."""
    workbench = opened(TREE)
    pid = os.fork()
    if not pid:
        try:
            session(workbench).advance(Progress(), 1000)
        except TrialError as error:
            (tmp_path / "raised").write_text(str(error))
        finally:
            os._exit(3)
    until(lambda: len(sleeping(tmp_path)) >= 5)
    [guard] = psutil.Process(pid).children()
    [supervisor] = guard.children()
    yield pid, guard.pid, supervisor.pid
    with suppress(ChildProcessError, ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.parametrize("with_its_children", [False, True])
def test_nothing_is_left_of_it_when_its_worker_is_killed(worker, tmp_path, with_its_children):
    for pid in (
        worker[:2] if with_its_children else worker[:1]
    ):  # as Ray does where its driver is killed
        os.kill(pid, signal.SIGKILL)
    until(lambda: sleeping(tmp_path) == [])


def test_its_group_ends_when_its_supervisor_is_killed_and_its_trial_fails(worker, tmp_path):
    os.kill(worker[2], signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(worker[0], 0)[1]) == 3
    said = (tmp_path / "raised").read_text()
    assert "was lost together with the process that watched over it" in said
    until(lambda: len(sleeping(tmp_path)) <= 1)
    for left in sleeping(tmp_path):  # out of its group: nobody knows that it was the program's
        os.kill(left, signal.SIGKILL)
