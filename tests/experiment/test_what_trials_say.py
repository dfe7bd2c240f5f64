"""Whatever a trial's code raises, prints or reports is a row of the table, printable and bounded; the run goes on."""

from __future__ import annotations

import json

import pytest

from orchestrator import run
from orchestrator.errors import LONGEST_SAID, encodable, explain, said_by, shortened
from orchestrator.report import render
from orchestrator.tuning.failures import LONGEST_WHOLE

TRIAL = """
import os, sys

class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")
    __repr__ = __str__

class Base(BaseException):
    pass

def forever():
    forever()

RAISES = {
    "latin-1 file name": lambda: open(os.fsdecode(b"/gone/gr\\xfc\\xdfe.csv")),
    "lone surrogate": lambda: throw(ValueError("bad \\udcfc")),
    "NUL and escapes": lambda: throw(ValueError("a\\0b\\x1b[31m")),
    "5 MB in one line": lambda: throw(ValueError("x" * 5_000_000)),
    "5 MB of lines": lambda: throw(ValueError("x\\n" * 2_500_000)),
    "a str that raises": lambda: throw(Mute()),
    "a key whose repr raises": lambda: throw(KeyError(Mute())),
    "a group": lambda: throw(ExceptionGroup("gr\\udcfc", [Mute(), ValueError("\\udcfc")])),
    "KeyboardInterrupt": lambda: throw(KeyboardInterrupt()),
    "GeneratorExit": lambda: throw(GeneratorExit("over")),
    "SystemExit": lambda: sys.exit("bye \\udcfc"),
    "a BaseException": lambda: throw(Base("hm")),
    "RecursionError": forever,
    "a name that is none": lambda: {Mute(): 1.0},
    "a value that is none": lambda: {"score": Mute()},
}
REPORTS = {
    "prints": lambda: print("gr\\udcfc\\0", file=sys.stderr) or {"score": 0.5},
    "a metric's name": lambda: {"score": 0.25, "gr\\udcfc": 1.0},
}

def throw(error):
    raise error

def train(hp, report):
    report((RAISES | REPORTS)[hp["what"]]())
"""
NAMES = dict[str, object]()
exec(TRIAL, NAMES)  # noqa: S102


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    folder = tmp_path_factory.mktemp("said")
    (folder / "train.py").write_text(TRIAL)
    return run(
        trial=str(folder / "train.py:train"), metric="score", mode="max", epochs=1, strategy="caviar",
        search_space={"what": f"choice({[*NAMES['RAISES'], *NAMES['REPORTS']]})"},
        caviar={"searcher": "grid"}, name="said", storage_path=str(folder / "runs"),
        executor="inline", progress=False,
    )  # fmt: skip


def by_what(ended):
    return {trial.hyperparameters["what"]: trial for trial in ended.records.trials}


def test_each_is_a_row_and_the_run_goes_on_to_its_winner(ended):
    states = {what: trial.status for what, trial in by_what(ended).items()}
    assert states == dict.fromkeys(NAMES["RAISES"], "failed") | dict.fromkeys(
        NAMES["REPORTS"], "finished"
    )
    assert ended.status == "finished" and ended.best.hyperparameters["what"] == "prints"


@pytest.mark.parametrize("what", NAMES["RAISES"])
def test_its_error_is_bounded_and_can_be_written_anywhere(ended, what):
    trial = by_what(ended)[what]
    assert trial.error and len(trial.error) < 2 * LONGEST_SAID
    assert encodable(trial.error) == trial.error
    whole = (ended.path / trial.error_file).read_text("utf-8")
    assert "Traceback" in whole and len(whole) < LONGEST_WHOLE + 100


@pytest.mark.parametrize("format", ["csv", "json", "markdown", "latex", "parquet", "table"])
@pytest.mark.parametrize("table", ["trials", "epochs"])
def test_every_table_of_them_can_be_written(ended, tmp_path, table, format):
    from orchestrator.report import epochs_table, trials_table

    frame = {"trials": trials_table, "epochs": epochs_table}[table](ended.records)
    render(frame, format, tmp_path / "table")
    assert (tmp_path / "table").stat().st_size > 0


def test_the_records_are_utf_8_without_escapes_of_what_is_none(ended):
    for file in ended.path.glob("*.jsonl"):
        for line in file.read_text("utf-8").splitlines():
            json.dumps(json.loads(line), ensure_ascii=False).encode()


def test_what_somebodys_class_cannot_say_is_said_for_it():
    mute = NAMES["Mute"]()
    assert said_by(mute) == "<Mute, whose str raises RuntimeError>"
    assert explain("x", "a number", mute) == (
        "x: expected a number. Received: <Mute, whose repr raises RuntimeError>."
    )


def test_what_is_too_long_keeps_its_ends():
    assert shortened("abc", 3) == "abc"
    assert shortened("a" * 5 + "b" * 5, 4) == "aa [... 6 characters ...] bb"
