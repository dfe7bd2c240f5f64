from __future__ import annotations

from orchestrator.cli.output import error_block


def test_a_message_is_one_block_of_80_columns():
    block = error_block("a.yaml, line 3: expected " + "a word " * 30)
    lines = block.splitlines()
    assert lines[0].startswith("error: a.yaml, line 3: expected")
    assert len(lines) > 1 and all(line.startswith("       ") for line in lines[1:])
    assert max(map(len, lines)) <= 80


def test_every_fault_begins_a_line():
    assert error_block("a: wrong\nb: wrong") == "error: a: wrong\n       b: wrong"


def test_a_quoted_file_cannot_drive_the_terminal():
    assert "\x1b" not in error_block("a: expected b. Received: \x1b[2J.")


def test_a_path_is_never_cut():
    path = "/a-place/" + "long-name" * 12
    assert path in error_block(f"{path}: expected a file.")
