from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.config.document import dump, parse_document, read_document
from orchestrator.errors import ExperimentFileError

FILE = Path("digits.yaml")


def content(text):
    return parse_document(text, FILE).content


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        (".5e3", 500.0),
        ("-1.5e-10", -1.5e-10),
        ("1.", 1.0),
        ("1", 1),
        ("012", 12),
        ("0x1F", 31),
        ("0o17", 15),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("No", "No"),
        ("12:30", "12:30"),
        ("2026-11-05", "2026-11-05"),
        ("1_000", "1_000"),
        ("1e", "1e"),
        ("'1e-4'", "1e-4"),
        ("!!str 1", "1"),
        ("loguniform(1e-3, 1)", "loguniform(1e-3, 1)"),
        ("choice([sgd, adam])", "choice([sgd, adam])"),
    ],
)
def test_plain_values_are_those_of_yaml_1_2(written, value):
    got = content(f"a: {written}")["a"]
    assert (got, type(got)) == (value, type(value))


def test_every_key_knows_its_line():
    document = parse_document("a: 1\nb:\n  c: {d: 2,\n    e: 3}\n  f: [1,\n   2]\n", FILE)
    assert document.where(("b", "c", "e")) == "digits.yaml, line 4, b.c.e"
    assert document.where(("b", "f", 1)) == "digits.yaml, line 6, b.f.1"
    assert document.where(("b", "absent")) == "digits.yaml, line 2, b.absent"
    assert document.where(("absent",)) == "digits.yaml, absent"
    assert document.where() == "digits.yaml"
    assert document.under(("b",))(("c",)) == "digits.yaml, line 3, b.c"


def test_an_alias_is_a_copy_and_a_merge_gives_way_to_the_own_keys():
    text = "base: &b {x: 1, y: 2}\none:\n  y: 3\n  <<: *b\ntwo: *b\n"
    assert content(text) == {
        "base": {"x": 1, "y": 2},
        "one": {"x": 1, "y": 3},
        "two": {"x": 1, "y": 2},
    }
    assert parse_document(text, FILE).where(("one", "y")) == "digits.yaml, line 3, one.y"


BOMB = "a0: &a0 [1]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb: 2\na: 3", "digits.yaml, line 3, a: expected each key once, and line 1 has it"),
        ("s: {a: 1,\n a: 2}", "digits.yaml, line 2, s.a: expected each key once"),
        ("", "an empty file"),
        ("# nothing", "an empty file"),
        ("- 1", "expected keys and values, such as model: mlp. Received: [1]"),
        ("just text", "expected keys and values"),
        ("a: [1\nb: 2", "digits.yaml, line 2: expected YAML"),
        ("\ta: 1", "digits.yaml, line 1: expected YAML"),
        ("a: *x", "undefined alias"),
        ("a: 1\n---\nb: 2", "single document"),
        ("1: 2", "a text as a key"),
        ("? [a]\n: 1", "a text as a key"),
        ("a: !!python/object/apply:os.system [ls]", "!!python/object/apply:os.system"),
        ("a: !!python/name:os.system ''", "!!python/name:os.system"),
        ("a: !!binary aGk=", "!!binary"),
        ("a: !!int x", "!!int"),
        ("a: &a [*a]", "levels of nesting"),
        ("a: " + "[" * 5000, "levels of nesting"),
        ("a: {<<: 3}", "a mapping to merge"),
        ("a: \x00", "special characters are not allowed"),
        ("a: " + "9" * 5000, "plain value"),
        (BOMB, "aliases followed"),
    ],
    ids=lambda value: value[:30],
)
def test_what_cannot_be_used_is_one_sentence(text, sentence):
    with pytest.raises(ExperimentFileError) as caught:
        parse_document(text, FILE)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@given(st.text() | st.text(alphabet="ab:-?&*!<>[]{}\"'|%@`#, \n\t1.e"))
@example("a: !<x\x85")
@example("%YAML 9.9\n---\na: 1")
@example("!!int")
@example("a: !!null x")
@example("a: !!float x")
@example("a: !!bool x")
@example("a: !!map x")
def test_any_text_is_a_mapping_or_an_experiment_file_error(text):
    try:
        assert isinstance(content(text), dict)
    except ExperimentFileError as error:
        assert str(error).startswith("digits.yaml")


@given(st.binary())
def test_any_bytes_are_a_mapping_or_an_experiment_file_error(tmp_path_factory, raw):
    path = tmp_path_factory.mktemp("bytes") / "a.yaml"
    path.write_bytes(raw)
    try:
        read_document(path)
    except ExperimentFileError as error:
        assert str(path) in str(error)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
@example("1e-4")
@example("off")
@example("0o17")
@example("2026-11-05")
@example("1_000")
@example("12:30:00")
@example("<<")
@example("=")
@example(1e-05)
def test_what_is_written_reads_back_equal_here_and_in_yaml_1_1(value):
    text = dump({"a": value})
    assert content(text) == {"a": value}
    assert yaml.safe_load(text) == {"a": value}


def test_a_missing_file_names_the_ones_beside_it(tmp_path):
    (tmp_path / "digits.yaml").write_text("a: 1")
    with pytest.raises(ExperimentFileError, match=r"no such file.*digits\.yaml"):
        read_document(tmp_path / "digit.yaml")


def test_a_folder_a_binary_a_giant_and_an_impossible_path_are_refused(tmp_path):
    (tmp_path / "binary.yaml").write_bytes(b"\x80\x00")
    (tmp_path / "giant.yaml").write_bytes(b"#" * 1_000_001)
    for path, sentence in [
        (tmp_path, "a folder"),
        (tmp_path / "binary.yaml", "text in UTF-8"),
        (tmp_path / "giant.yaml", "at most 250000 bytes"),
        (tmp_path / ("x" * 400), "a readable file"),
        ("a\0b", "a readable file"),
    ]:
        with pytest.raises(ExperimentFileError, match=sentence):
            read_document(path)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_document(path).content == {"a": 1}


@pytest.mark.parametrize("escape", ["\\UFFFFFFFF", "\\U00110000", "\\x"])
def test_an_escape_that_is_no_sign_is_refused(escape):
    with pytest.raises(ExperimentFileError, match="expected"):
        content(f'a: "{escape}"')


def test_a_domain_in_braces_without_quotes_is_answered_with_the_quotes(tmp_path):
    file = tmp_path / "digits.yaml"
    file.write_text("search_space: {optimizer: choice([sgd, adam])}\n")
    with pytest.raises(
        ExperimentFileError, match=r'within braces, write "choice\(\[sgd, adam\]\)" in quotes'
    ):
        read_document(file)
