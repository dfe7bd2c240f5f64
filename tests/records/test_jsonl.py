from __future__ import annotations

import errno
import math
import os
import warnings

import numpy as np
import pytest

from orchestrator.errors import RecordError
from orchestrator.records import JsonLines, TornLineWarning, read_lines


def write(path, *records):
    with JsonLines(path) as lines:
        for record in records:
            lines.append(record)


def test_what_is_appended_is_read_back(tmp_path):
    file = tmp_path / "a.jsonl"
    write(file, {"a": 1, "text": "naïve ✓\nline"}, {"b": [1.5, None, True], "c": {"d": 1e-12}})
    assert read_lines(file) == [
        {"a": 1, "text": "naïve ✓\nline"},
        {"b": [1.5, None, True], "c": {"d": 1e-12}},
    ]
    assert file.read_bytes().count(b"\n") == 2


def test_numbers_that_json_lacks_come_back_as_floats(tmp_path):
    file = tmp_path / "a.jsonl"
    write(file, {"m": {"x": math.nan, "y": [math.inf, -math.inf]}, "n": np.float32("nan")})
    (record,) = read_lines(file)
    assert math.isnan(record["m"]["x"]) and math.isnan(record["n"])
    assert record["m"]["y"] == [math.inf, -math.inf]
    assert b'"-Infinity"' in file.read_bytes()


def test_numpy_values_become_plain(tmp_path):
    file = tmp_path / "a.jsonl"
    array = np.array([1, 2])
    write(file, {"i": np.int64(3), "f": np.float32(0.5), "b": np.bool_(True), "a": array})
    assert read_lines(file) == [{"i": 3, "f": 0.5, "b": True, "a": [1, 2]}]


def test_an_absent_file_holds_no_records(tmp_path):
    assert read_lines(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize("tail", [b'{"a": 2', b'{"a": 2}', b"\x00\x00\x00", b'{"a": \n', b"[]\n"])
def test_a_torn_last_line_is_dropped_with_a_note(tmp_path, tail):
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"a": 1}\n' + tail)
    with pytest.warns(TornLineWarning, match="line 2"):
        assert read_lines(file) == [{"a": 1}]


@pytest.mark.parametrize("tail", [b'{"a": 2', b"\x00\x00", b'{"a": \n'])
def test_appending_after_a_torn_line_starts_a_whole_one(tmp_path, tail):
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"a": 1}\n' + tail)
    with pytest.warns(TornLineWarning):
        write(file, {"a": 3})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_lines(file) == [{"a": 1}, {"a": 3}]


@pytest.mark.parametrize("middle", [b"{", b"", b"7", b"\xff\xfe"])
def test_a_damaged_middle_line_names_file_and_line(tmp_path, middle):
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"a": 1}\n' + middle + b'\n{"a": 3}\n')
    with pytest.raises(RecordError, match=r"a\.jsonl, line 2"):
        read_lines(file)


def test_several_records_are_one_system_call(tmp_path, monkeypatch):
    calls = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, block: calls.append(block) or real(fd, block))
    with JsonLines(tmp_path / "a.jsonl") as lines:
        lines.extend({"i": i} for i in range(3))
        lines.extend([])
    assert len(calls) == 1
    assert [record["i"] for record in read_lines(tmp_path / "a.jsonl")] == [0, 1, 2]


def test_a_disk_that_takes_half_a_line_keeps_the_file_whole(tmp_path, monkeypatch):
    file = tmp_path / "a.jsonl"
    real = os.write
    with JsonLines(file) as lines:
        lines.append({"a": 1})
        monkeypatch.setattr(os, "write", lambda fd, block: real(fd, block[: len(block) // 2]))
        with pytest.raises(OSError) as caught:
            lines.append({"a": 2})
        monkeypatch.undo()
        lines.append({"a": 3})
    assert caught.value.errno == errno.ENOSPC
    assert read_lines(file) == [{"a": 1}, {"a": 3}]
