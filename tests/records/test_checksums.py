"""A flipped byte anywhere is found or does no harm; a file cut anywhere gives its whole lines."""

from __future__ import annotations

import json
import warnings
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import RecordError
from orchestrator.records import JsonLines, TornLineWarning, read_lines
from orchestrator.records.jsonl import from_line, to_line
from tests.depth import in_depth

RECORDS = [
    {"event": "started", "trial": "00000", "hyperparameters": {"units": 8, "name": "naïve"}},
    {"trial": "00000", "epoch": 1, "metrics": {"loss": 0.25, "accuracy": float("-inf")}},
    {"event": "ended", "trial": "00000", "error": 'a "quoted" one\n', "stopped_by": None},
]
BLOCK = b"".join(to_line(record) for record in RECORDS)


def read(file, content):
    """What a file of that content gives, and whether its end was left out."""
    file.write_bytes(content)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        records = read_lines(file)
    assert {warning.category for warning in caught} <= {TornLineWarning}
    return records, bool(caught)


def test_the_checksum_is_the_lines_last_key_and_covers_what_stands_before_it():
    line = to_line({"a": 1})
    checksum = f"{zlib.crc32(line[:7]):08x}"
    assert json.loads(line) == {"a": 1, "crc32": checksum}
    assert line.startswith(b'{"a": 1, "crc32": "')
    assert from_line(line.rstrip(b"\n")) == {"a": 1}


@pytest.mark.parametrize(
    "mask", in_depth([*(1 << bit for bit in range(8)), 0xFF], 1, 32, 128, 0xFF)
)
def test_a_flipped_byte_is_found_or_does_no_harm(tmp_path, mask):
    file, last = tmp_path / "a.jsonl", BLOCK.rstrip(b"\n").count(b"\n") + 1
    lines = BLOCK.split(b"\n")
    for place in range(len(BLOCK)):
        flipped = bytearray(BLOCK)
        flipped[place] ^= mask
        number = BLOCK[:place].count(b"\n") + 1
        try:
            records, torn = read(file, bytes(flipped))
        except RecordError as error:
            assert f"a.jsonl, line {number}: " in str(error), (place, lines[number - 1])
            continue
        assert records == (RECORDS[:-1] if torn else RECORDS), (place, mask)
        assert not torn or number == last


@pytest.mark.parametrize("sign", [b"\n", b"\x00", b'"', b"}"])
def test_a_byte_that_became_a_special_sign_is_found_or_does_no_harm(tmp_path, sign):
    file = tmp_path / "a.jsonl"
    for place in range(len(BLOCK)):
        if BLOCK[place : place + 1] == sign:
            continue
        try:
            records, torn = read(file, BLOCK[:place] + sign + BLOCK[place + 1 :])
        except RecordError:
            continue
        assert records == (RECORDS[:-1] if torn else RECORDS), (place, sign)


def test_a_file_cut_at_any_byte_gives_the_lines_before_the_cut(tmp_path):
    file = tmp_path / "a.jsonl"
    for cut in range(len(BLOCK)):
        records, torn = read(file, BLOCK[:cut])
        whole = BLOCK[:cut].count(b"\n")
        assert records == RECORDS[:whole]
        assert torn == (not BLOCK[:cut].endswith(b"\n") and cut > 0)


def test_writing_after_any_cut_goes_on_with_whole_lines(tmp_path):
    file = tmp_path / "a.jsonl"
    for cut in range(0, len(BLOCK), 3):
        file.write_bytes(BLOCK[:cut])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TornLineWarning)
            with JsonLines(file) as lines:
                lines.append({"new": True})
        assert read(file, file.read_bytes()) == (
            [*RECORDS[: BLOCK[:cut].count(b"\n")], {"new": True}],
            False,
        )


def test_a_damaged_last_line_is_no_torn_one(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_bytes(BLOCK.replace(b"ended", b"enbed"))
    with pytest.raises(RecordError, match=r"line 3: .*checksum.*orchestrator repair \S+ moves"):
        read_lines(file)
    with JsonLines(file) as lines:
        lines.append({"new": True})
    assert file.read_bytes().count(b"\n") == 4, "nothing of a damaged line is thrown away"


def test_lines_without_a_checksum_are_read_among_those_with_one(tmp_path):
    older = b'{"a": 1}\n'
    assert read(tmp_path / "a.jsonl", older + to_line({"b": 2}) + older) == (
        [{"a": 1}, {"b": 2}, {"a": 1}],
        False,
    )


def test_text_that_is_no_unicode_is_kept(tmp_path):
    assert from_line(to_line({"error": "no file \udcff"})[:-1]) == {"error": "no file \udcff"}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(
    record=st.dictionaries(st.text(), values, max_size=4),
    flip=st.integers(0),
    bit=st.integers(0, 7),
)
def test_any_record_comes_back_and_no_flip_changes_it_unseen(record, flip, bit):
    line = to_line(record)[:-1]
    found = from_line(line)
    assert found is not None
    spelled = {"NaN", "Infinity", "-Infinity"}
    if not any(word in json.dumps(record) for word in spelled):
        assert found == record
    flipped = bytearray(line)
    flipped[flip % len(line)] ^= 1 << bit
    assert from_line(bytes(flipped)) in (None, found)
