"""What is kept of a program's output, and how its end is told."""

from __future__ import annotations

import pytest

from orchestrator.redaction import conceal
from orchestrator.trials.program import KeptOutput, said_of


def test_no_secret_is_kept_not_even_where_the_middle_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "swordfish-and-more")
    conceal({"MY_TOKEN": "swordfish-and-more"})
    output = KeptOutput(tmp_path / "logs" / "00000.stdout.txt")
    for _ in range(50_000):
        output(b"token swordfish-and-more\n")
    output.write()
    lines = set((tmp_path / "logs" / "00000.stdout.txt").read_text().split("\n"))
    assert len(lines) == 3 and "token ${ENV:MY_TOKEN}" in lines
    conceal({"MY_TOKEN": ""})


def test_what_an_earlier_start_printed_is_kept(tmp_path):
    file = tmp_path / "logs" / "00000.stdout.txt"
    for said in (b"one\n", b"two\n"):
        output = KeptOutput(file)
        output(said)
        output.write()
    assert file.read_text() == "one\n--- started again ---\ntwo\n"
    KeptOutput(file).write()
    assert file.read_text().startswith("one"), "one that says nothing takes nothing away"


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ("exit 3", "ended with exit code 3"),
        ("signal 9", "was ended by signal 9 (SIGKILL)"),
        ("signal 99", "was ended by signal 99"),
        ("error no such file", "could not be started: no such file"),
        (None, "was lost together with the process that watched over it"),
    ],
)
def test_how_it_ended_is_told_in_words(ending, said):
    assert said_of(ending) == said
