"""Secrets of the environment: which are known, and that no text keeps them."""

from __future__ import annotations

import json

import pytest

from orchestrator import redaction
from orchestrator.errors import DataError, explain
from orchestrator.redaction import conceal, looks_secret, redact, redacted, restored

VALUE = "hunter2-$eçret'\"/x y"


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """A process that knows one secret; what other tests made it know is not looked for."""
    monkeypatch.setattr(redaction, "_KNOWN", redaction._Known())
    monkeypatch.setenv("DATA_TOKEN", VALUE)


@pytest.mark.parametrize(
    "name",
    ["TOKEN", "HF_TOKEN", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "PGPASSWORD",
     "DB_PASSWORD", "MYSQL_PASSWD", "OPENAI_API_KEY", "WANDB_APIKEY", "SSH_PRIVATE_KEY", "DB_PASS",
     "AZURE_CLIENT_SECRET", "CREDENTIALS", "SENTRY_DSN", "my_token", "RAY_AUTH_TOKEN"],
)  # fmt: skip
def test_a_variable_whose_name_looks_secret_is_one(name):
    assert looks_secret(name)


@pytest.mark.parametrize(
    "name",
    ["PATH", "HOME", "PWD", "OLDPWD", "TOKENIZERS_PARALLELISM", "SSH_AUTH_SOCK", "RAY_AUTH_MODE",
     "RAY_AUTH_TOKEN_PATH", "PASSENGERS", "KEYBOARD", "SECRETARY", "PASSWORD_FILE"],
)  # fmt: skip
def test_a_variable_whose_name_only_resembles_one_is_none(name):
    assert not looks_secret(name)


@pytest.mark.parametrize(
    "write",
    [str, repr, json.dumps, lambda text: json.dumps(text, ensure_ascii=False),
     lambda text: f"KeyError: {text!r} is no key", lambda text: f"https://x/?t={__import__('urllib.parse').parse.quote(text)}"],
)  # fmt: skip
def test_a_secret_is_found_plain_quoted_and_escaped(write):
    text = redact(f"before {write(VALUE)} after")
    assert "hunter2" not in text
    assert "${ENV:DATA_TOKEN}" in text
    assert text.startswith("before ") and text.endswith(" after")


def test_a_secret_of_several_lines_is_found_line_by_line(monkeypatch):
    monkeypatch.setenv(
        "PRIVATE_KEY", "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w\n-----END KEY-----"
    )
    assert redact("line 2 is MIIEvQIBADANBgkqhkiG9w.") == "line 2 is ${ENV:PRIVATE_KEY}."


def test_short_values_and_those_of_plain_variables_stay(monkeypatch):
    monkeypatch.setenv("PIN_TOKEN", "12345")
    monkeypatch.setenv("FAVOURITE_DISH", "gnocchi al pesto")
    assert redact("12345 gnocchi al pesto") == "12345 gnocchi al pesto"


def test_what_a_file_refers_to_is_a_secret_whatever_its_name(monkeypatch):
    monkeypatch.setenv("FAVOURITE_DISH", "gnocchi al pesto")
    conceal({"FAVOURITE_DISH": "gnocchi al pesto"})
    assert redact("I had gnocchi al pesto") == "I had ${ENV:FAVOURITE_DISH}"


def test_values_are_redacted_and_restored_wherever_they_stand():
    plain = {"a": [VALUE, 1, None, {"b": f"x{VALUE}y"}], "c": 0.5, "t": (VALUE,)}
    hidden = redacted(plain)
    assert hidden == {"a": ["${ENV:DATA_TOKEN}", 1, None, {"b": "x${ENV:DATA_TOKEN}y"}], "c": 0.5,
                      "t": ("${ENV:DATA_TOKEN}",)}  # fmt: skip
    assert restored(hidden) == {**plain, "t": [VALUE]}


def test_names_by_which_records_are_looked_up_stay(monkeypatch):
    monkeypatch.setenv("TEST_PASSWORD", "finished")
    monkeypatch.setenv("OTHER_PASSWORD", "val_accuracy")
    line = {"status": "finished", "metrics": {"val_accuracy": 1.0}, "error": "finished badly"}
    assert redacted(line) == {**line, "error": "${ENV:TEST_PASSWORD} badly"}


def test_a_reference_to_what_is_not_set_stays():
    assert restored("${ENV:NO_SUCH_VARIABLE}") == "${ENV:NO_SUCH_VARIABLE}"


def test_an_error_of_ours_never_holds_a_secret():
    assert "hunter2" not in str(DataError(f"no file {VALUE}"))
    assert "hunter2" not in explain("here", "something else", VALUE)


def test_a_sentence_stays_on_its_line():
    assert "\n" not in explain("here\n", "a\nb", 1, ["c\rd"])
