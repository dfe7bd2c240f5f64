"""What a trial prints lands in a file of its own, without secrets and no longer than is worth keeping."""

from __future__ import annotations

import ctypes
import os
import sys

import pytest

from orchestrator import redaction
from orchestrator.tuning import worker
from orchestrator.tuning.worker import printed_to


@pytest.fixture
def advance(tmp_path):
    file = tmp_path / "logs/00000.printed.txt"

    def of(act):
        with printed_to(file):
            act()
        return file.read_text() if file.exists() else None

    return of


def prints():
    os.write(1, b"python\n")
    ctypes.CDLL(None).puts(b"C")
    os.write(2, b"a warning\n")


def test_what_is_printed_lands_there_in_order_and_a_silent_trial_has_no_file(advance, capfd):
    assert advance(lambda: None) is None
    assert sorted(advance(prints).split("\n")) == ["", "C", "a warning", "python"]
    assert advance(prints).count("python") == 2
    os.write(1, b"outside\n")
    assert capfd.readouterr() == ("outside\n", "")


def test_it_is_kept_of_a_trial_that_raises(advance):
    def raises():
        prints()
        raise ValueError

    with pytest.raises(ValueError):
        advance(raises)
    assert "python" in advance(lambda: None)


def test_it_holds_no_secret(advance, monkeypatch):
    monkeypatch.setattr(redaction, "_KNOWN", redaction._Known())
    monkeypatch.setenv("DB_PASSWORD", "opensesame")
    assert advance(lambda: os.write(1, b"opensesame \xff")) == "${ENV:DB_PASSWORD} \ufffd"


def test_of_much_of_it_the_beginning_is_kept(advance, monkeypatch):
    monkeypatch.setattr(worker, "MOST_BYTES", 10)
    advance(lambda: os.write(1, b"0123456"))
    assert advance(lambda: os.write(1, b"789abc")) == "0123456789"
    assert advance(lambda: os.write(1, b"more")) == "0123456789"


def test_where_it_cannot_be_kept_the_trial_goes_on(tmp_path):
    (tmp_path / "logs").write_text("a file")
    with printed_to(tmp_path / "logs/00000.printed.txt"):
        prints()
    assert sys.stdout is not None
