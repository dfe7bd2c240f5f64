from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.domains import (
    Choice,
    Condition,
    Fixed,
    Integer,
    LogInteger,
    LogUniform,
    OneMinusLogUniform,
    Uniform,
    parse_domain,
)
from orchestrator.domains.parse import write_domain
from orchestrator.errors import ExperimentFileError

WRITTEN = [
    ("uniform(0, 1)", Uniform(0, 1)),
    (" uniform ( -0.5 , .5 ) ", Uniform(-0.5, 0.5)),
    ("uniform(0, 0.5, step=0.1)", Uniform(0, 0.5, 0.1)),
    ("uniform(min=0, max=1)", Uniform(0, 1)),
    ("loguniform(1e-4, 1)", LogUniform(1e-4, 1)),
    ("one_minus_loguniform(0.9, 0.999)", OneMinusLogUniform(0.9, 0.999)),
    ("integer(1, 3)", Integer(1, 3)),
    ("integer(32, 128, step=32)", Integer(32, 128, 32)),
    ("log_integer(1, 1e3)", LogInteger(1, 1000)),
    ("choice([sgd, adam])", Choice(("sgd", "adam"))),
    ("choice([1, 1.5, true, null, none, \"a, b\", 'it''s', 3x3])",
     Choice((1, 1.5, True, None, "none", "a, b", "it's", "3x3"))),
    ("choice([global, if, None, 012, 1_000, 0x1F, adam-w, ./a.py:b, \"#\"])",
     Choice(("global", "if", "None", 12, "1_000", "0x1F", "adam-w", "./a.py:b", "#"))),
    ("choice(\n  [a,\n   b,]\n)", Choice(("a", "b"))),
    ({"distribution": "loguniform", "min": 1e-4, "max": 1}, LogUniform(1e-4, 1)),
    ({"distribution": "integer", "min": 0, "max": 8, "step": 2}, Integer(0, 8, 2)),
    ({"distribution": "choice", "values": ["a", 2]}, Choice(("a", 2))),
    ({"distribution": "fixed", "value": 3}, Fixed(3)),
    (3, Fixed(3)),
    ("relu", Fixed("relu")),
    (None, Fixed(None)),
    (False, Fixed(False)),
    ({"when": {"optimizer": "adam"}, "distribution": "uniform", "min": 0.8, "max": 0.99},
     Uniform(0.8, 0.99, when=(Condition("optimizer", ("adam",)),))),
    ({"when": {"optimizer": ["adam", "adamw"]}, "domain": "uniform(0.8, 0.99)"},
     Uniform(0.8, 0.99, when=(Condition("optimizer", ("adam", "adamw")),))),
    ({"when": {"optimizer": "adam", "layers": [1, 2]}, "value": 0.9},
     Fixed(0.9, when=(Condition("optimizer", ("adam",)), Condition("layers", (1, 2))))),
]  # fmt: skip


@pytest.mark.parametrize(("written", "domain"), WRITTEN, ids=lambda value: str(value)[:50])
def test_what_is_written_is_what_it_becomes(written, domain):
    assert parse_domain("x", written) == domain


@pytest.mark.parametrize("domain", [domain for _, domain in WRITTEN], ids=str)
def test_a_domain_reads_back_equal_from_what_it_writes(domain):
    assert parse_domain("x", write_domain(domain)) == domain


@pytest.mark.parametrize(
    "text", ["uniform(0, 1)", "uniform", "[a]", "x y", "", "1e-3", "true", 'q"']
)
def test_a_fixed_text_stays_a_text_whatever_it_looks_like(text):
    back = parse_domain("x", write_domain(Fixed(text)))
    assert back == Fixed(text)


@pytest.mark.parametrize(
    "text",
    [
        "loguniform(1e-4, 1)",
        "uniform(0, 0.5, step=0.1)",
        "one_minus_loguniform(0.9, 0.999)",
        "choice([32, 64, 1.0])",
    ],
)
def test_the_short_form_is_written_as_one_writes_it(text):
    assert str(parse_domain("x", text)) == text


@given(st.floats(1e-200, 1e200), st.floats(1e-200, 1e200))
def test_bounds_survive_the_short_form_to_the_last_digit(one, other):
    domain = LogUniform(min(one, other), max(one, other))
    assert parse_domain("x", str(domain)) == domain


@given(
    st.lists(
        st.one_of(
            st.text().filter(lambda text: text.lower() not in ("on", "off", "yes", "no")),
            st.integers(),
            st.booleans(),
            st.none(),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
        min_size=1,
    )
)
def test_any_plain_values_survive_the_short_form_of_a_choice(values):
    unique = [v for i, v in enumerate(values) if not any(v == w for w in values[:i])]
    domain = Choice(tuple(unique))
    if len(str(domain)) < 10_000 and all(len(str(v)) <= 40 for v in unique):
        assert parse_domain("x", str(domain)) == domain


@given(st.text() | st.from_regex(r"[a-z_]+\([^)]*\)?", fullmatch=True))
@example("uniform(" + "[" * 5000)
@example("uniform(" + "9" * 5000 + ", 1)")
@example("uniform(1e999, 2)")
@example("integer(1e400, 2)")
@example("choice(['a)")
@example("choice([\x00, \ud800])")
@example("(" * 20_000)
@example("fixed(value=(1))")
@example("uniform(0, 1, when=3)")
@example("one_minus_loguniform(0.9, 0.99, step=1)")
@example("uniform(0, 1e299, step=1e-299)")
def test_any_text_is_a_domain_or_an_experiment_file_error(text):
    try:
        domain = parse_domain("x", text)
    except ExperimentFileError as error:
        assert "search_space.x: " in str(error)
    else:
        assert domain.contains(domain.from_unit(0.5))


def test_nothing_in_a_short_form_is_evaluated(tmp_path):
    target = tmp_path / "made"
    with pytest.raises(ExperimentFileError):
        parse_domain("x", f"uniform(__import__('pathlib').Path({str(target)!r}).touch(), 1)")
    assert not target.exists()


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("loguniforn(1, 2)", "Did you mean 'loguniform'?"),
        ("uniform(1, 2, stp=1)", "Did you mean 'step'?"),
        ("loguniform(1e-3", "put quotes around a short form"),
        ("uniform(2, 1)", "min no larger than max"),
        ("loguniform(0, 1)", "above 0"),
        ("one_minus_loguniform(0.9, 1)", "below 1"),
        ("choice([])", "at least one value"),
        ("choice(3)", "expected a list"),
        ("uniform(1)", "no max"),
        ("uniform(1, 2, 3, 4)", "expected uniform(min, max, step)"),
        ("uniform(1, 2) x", "nothing after the closing bracket"),
        ("uniform(1, min=2)", "min once"),
        ("uniform(min=1, min=2)", "min= once"),
        ("uniform(min=1, 2)", "positional argument follows keyword argument"),
        ("choice([a b])", "forgot a comma"),
        ("uniform(0, max(1, 2))", "plain values"),
        ("choice([a, [b]])", "plain values"),
        ("uniform(a, 2)", "a number for min"),
        (["sgd", "adam"], "choice([a, b, c])"),
        ({"distribution": "unifrm", "min": 0, "max": 1}, "Did you mean 'uniform'?"),
        ({"distribution": ["uniform"]}, "unknown distribution"),
        ({"distribution": "uniform", "min": 0, "maximum": 1}, "unknown key for uniform"),
        ({"distributon": "uniform"}, "Did you mean 'distribution'?"),
        ({"domain": "uniform(0, 1)", "min": 3}, "only when: beside it"),
        ({"when": "adam", "value": 1}, "expected when:"),
        ({"when": {"optimizer": []}, "value": 1}, "at least one value of optimizer"),
        ("OFF", "expected true or false"),
        ("choice([relu, off])", "expected true or false"),
        ({}, "distribution:, domain: or value:"),
        (float("nan"), "finite"),
        (object, "plain value"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_mistake_is_one_sentence_that_names_it(written, sentence):
    with pytest.raises(ExperimentFileError) as caught:
        parse_domain("learning_rate", written)
    message = str(caught.value)
    assert message.startswith("search_space.learning_rate: ")
    assert sentence in message
    assert "\n" not in message


def test_a_long_mistake_is_shown_by_its_beginning():
    with pytest.raises(ExperimentFileError) as caught:
        parse_domain("x", "uniform(" + "9" * 9000 + "x, 1)")
    assert len(str(caught.value)) < 400


def test_the_place_can_be_a_function_of_the_name():
    with pytest.raises(ExperimentFileError, match=r"^line 7, learning_rate: "):
        parse_domain("learning_rate", "uniform(2, 1)", lambda path: f"line 7, {path[0]}")


@pytest.mark.parametrize("name", ["", "learning rate", "1st", "a.b", 3])
def test_a_name_that_code_cannot_use_is_refused(name):
    with pytest.raises(ExperimentFileError, match="hyperparameter's name"):
        parse_domain(name, 1)


@pytest.mark.parametrize("hard", [True, "min", "max"])
def test_hard_ends_are_written_as_they_are_read(hard):
    written = {"distribution": "loguniform", "min": 1e-4, "max": 1, "hard": hard}
    domain = parse_domain("learning_rate", written)
    assert domain.hard == hard
    assert parse_domain("learning_rate", write_domain(domain)) == domain


@pytest.mark.parametrize("written", ["loguniform(1e-4, 1, hard=both)", "choice([1, 2], hard=true)"])
def test_hard_is_refused_where_it_means_nothing(written):
    with pytest.raises(ExperimentFileError, match="hard"):
        parse_domain("learning_rate", written)
