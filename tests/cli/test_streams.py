"""Output is never worth a run: readers that go away, full disks, closed and narrow streams."""

from __future__ import annotations

import errno
import io
import json
import os
import pty
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from orchestrator.records import read_run
from orchestrator.streams import Shown
from tests import preloaded
from tests.chaos.disk import small_disk, why_not
from tests.chaos.driver import until
from tests.cli.conftest import ROOT, write_run
from tests.depth import further

TRAIN = """
import sys, time

def train(hp, report):
    for epoch in range(3):
        print("gr\\u00f6\\u00dfe \\udcfc", epoch, flush=True)
        print("x" * 20_000, file=sys.stderr)
        report(score=hp["x"])
"""
FILE = """
trial: ./train.py:train
metric: score
mode: max
epochs: 3
strategy: caviar
caviar: {num_samples: 2, scheduler: none}
search_space: {x: "uniform(0, 1)"}
name: one
"""
RUN = "run e.yaml --inline"


@pytest.fixture
def ours():
    """A shell's words for our command: a fork, or a real process where its streams are opened by Python itself."""

    def words(real=False):
        real = real or not preloaded.POSSIBLE
        return f"{shlex.quote(sys.executable)} -P -m orchestrator" if real else preloaded.shell_command()  # fmt: skip

    return words


@pytest.fixture
def shell(here):
    def call(line, **environment):
        return subprocess.run(
            ["bash", "-c", line], capture_output=True, text=True, errors="replace", timeout=900,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )  # fmt: skip

    return call


@pytest.fixture
def experiment(here):
    (here / "train.py").write_text(TRAIN)
    (here / "e.yaml").write_text(FILE)


def assert_finished():
    records = read_run(Path("runs/one"))
    assert records.standing.state == "finished"
    assert {trial.status for trial in records.trials} == {"finished"}
    assert len(records.epochs) == 6 and records.winner is not None


@pytest.mark.parametrize(
    "line",
    [
        "({} 2>&1) | head -1 >/dev/null; exit ${{PIPESTATUS[0]}}",
        "{} >/dev/full 2>/dev/full",
        "{} <&- >&- 2>&-",
        further("PYTHONIOENCODING=ascii {}"),
        'env -i PYTHONPATH="$PYTHONPATH" LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 {}',
    ],
    ids=["head -1", "full disk", "closed", "ASCII", "nothing but C"],
)
def test_a_run_ends_as_it_does_with_all_of_its_output(shell, ours, experiment, line):
    ended = shell(line.format(f"{ours(real=not line.endswith('full'))} {RUN}"))
    assert ended.returncode == 0
    assert "Traceback" not in ended.stdout + ended.stderr
    assert_finished()


def test_a_run_whose_terminal_closes_goes_on(ours, experiment, here):
    ours_end, its_end = pty.openpty()
    command = [*shlex.split(ours(real=True)), *RUN.split()]
    with subprocess.Popen(
        ["setsid", *command], stdin=its_end, stdout=its_end, stderr=its_end,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
    ) as running:  # fmt: skip
        os.close(its_end)
        os.read(ours_end, 100)
        os.close(ours_end)
        assert running.wait(900) == 0
    assert_finished()


def test_a_run_whose_reader_has_stalled_trains_to_its_end(ours, experiment, here):
    """A pipe takes 64 kB; a MB more is kept; the rest is missing, which is said where it is."""
    (here / "train.py").write_text(TRAIN.replace("range(3)", "range(40)"))
    command = [*shlex.split(ours(real=True)), *RUN.split(), "--set", "epochs=40"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as running:  # fmt: skip
        assert until(is_finished, 900)  # nobody has read a byte
        shown = running.communicate()[0].decode(errors="replace")
    assert running.returncode == 0 and "Traceback" not in shown
    assert len(read_run(Path("runs/one")).epochs) == 2 * 40
    assert "in this process: 2 trials" in shown[:500]
    assert 1 < shown.count("x" * 20_000) < 2 * 40
    assert "lines were not shown: nobody read what came before]\n" in shown
    assert shown.endswith("which brings its own model and data\n")


def is_finished():
    folder = Path("runs/one")
    return folder.exists() and read_run(folder).standing.state == "finished"


@pytest.mark.skipif(why_not() is not None, reason=why_not() or "")
def test_a_run_whose_log_lies_on_a_full_disk_goes_on(shell, ours, experiment, tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        disk.fill()
        told = shell(f"{ours()} {RUN} >{disk.path}/log").stderr
    assert "warning: stdout: expected a place that takes all that is printed." in told
    assert "See: orchestrator table" in told
    assert_finished()


PRINTS = ["--help", "table digits", "status digits --format json"]


@pytest.mark.parametrize("command", PRINTS)
def test_a_command_that_only_prints_ends_as_usual_when_its_reader_goes_away(shell, ours, command):
    write_run("digits")
    ended = shell(f"{ours()} {command} | head -c 1 >/dev/null; exit ${{PIPESTATUS[0]}}")
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("command", PRINTS)
def test_one_whose_disk_is_full_says_so_and_never_a_traceback(shell, ours, command):
    write_run("digits")
    ended = shell(f"{ours()} {command} >/dev/full")
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: stdout: expected a place") and "No" in ended.stderr
    assert "Traceback" not in ended.stderr and ended.stderr.count("error:") == 1


def test_json_on_an_ascii_stream_says_the_same(shell, ours):
    write_run("digits", metric="gr\u00f6\u00dfe \U0001f600")
    in_ascii = shell(f"PYTHONIOENCODING=ascii {ours(real=True)} table digits --format json")
    as_it_is = shell(f"{ours()} table digits --format json")
    assert in_ascii.stdout.isascii() and not as_it_is.stdout.isascii()
    assert json.loads(in_ascii.stdout) == json.loads(as_it_is.stdout)


@pytest.fixture
def pipe():
    """A stream into a pipe, and where that can be read."""
    there, here = os.pipe()
    with os.fdopen(here, "w", encoding="utf-8") as stream:
        yield stream, there
    os.close(there)


def test_what_a_stalled_reader_has_not_read_comes_before_what_is_printed_later(pipe):
    stream, there = pipe
    shown, begun = Shown(stream), threading.Event()
    with shown.waiting_for_nobody():
        shown.write("a\n" * 100_000)  # more than a pipe takes
        shown.write("b\n")
    later = threading.Thread(target=lambda: (begun.set(), shown.write("c\n"), shown.flush()))
    later.start()
    begun.wait()
    with os.fdopen(os.dup(there)) as reading:
        assert reading.read(200_004) == "a\n" * 100_000 + "b\nc\n"
    later.join()


def test_what_kept_a_stream_from_taking_it_is_known_where_nobody_is_waited_for():
    with Path("/dev/full").open("w") as full:
        shown = Shown(full)
        with shown.waiting_for_nobody():
            assert shown.write("a") == 1
    assert shown.lost.errno == errno.ENOSPC


def test_a_fork_prints_though_it_has_no_thread(pipe):
    stream, there = pipe
    shown = Shown(stream)
    with shown.waiting_for_nobody():
        child = os.fork()
        if child == 0:
            shown.write("of the fork")
            shown.flush()
            os._exit(0)
        os.waitpid(child, 0)
    assert os.read(there, 100) == b"of the fork"


def test_a_stream_of_a_notebook_is_written_to_itself(pipe):
    class OfANotebook(io.StringIO):
        def fileno(self):
            return pipe[0].fileno()

    stream = OfANotebook()
    shown = Shown(stream)
    with shown.waiting_for_nobody():
        shown.write("here")
    assert stream.getvalue() == "here"


def test_a_stream_that_is_none_takes_all():
    stream = Shown(None)
    assert stream.write("a") == 1
    stream.flush()
    assert stream.lost is None
