"""What the command line prints: no secret, no sign that a terminal would obey."""

from __future__ import annotations

import pytest

from orchestrator import redaction
from orchestrator.__main__ import main
from orchestrator.cli.output import say
from tests.cli.conftest import write_run


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    monkeypatch.setattr(redaction, "_KNOWN", redaction._Known())
    monkeypatch.setenv("DB_PASSWORD", "opensesame")


def test_lines_stay_lines_and_nothing_else_moves(capsys):
    say("one\x1b[2J\ntwo\r\u202e opensesame")
    assert capsys.readouterr().out == "one\N{REPLACEMENT CHARACTER}[2J\ntwo\N{REPLACEMENT CHARACTER}" \
        "\N{REPLACEMENT CHARACTER} ${ENV:DB_PASSWORD}\n"  # fmt: skip


@pytest.mark.parametrize("command", ["show", "table", "best"])
def test_a_run_that_was_tampered_with_moves_no_cursor(cli, here, command):
    write_run("digits", metric="\x1b]0;title\x07x", model="\x1b[2Jmlp")
    result = cli(command, "digits")
    assert "\x1b" not in result.stdout + result.stderr
    assert "\x07" not in result.stdout + result.stderr


def test_a_refusal_tells_no_secret(cli, here):
    (here / "e.yaml").write_text(
        "model: opensesame\ndata: digits\nsearch_space: mlp\nfoo: opensesame\n"
    )
    result = cli("run", "e.yaml")
    assert result.exit_code == 2
    assert "opensesame" not in result.stderr


def test_a_bugs_traceback_tells_none(monkeypatch, capsys):
    def buggy(prog_name):
        print("on stdout: opensesame")
        raise RuntimeError("opensesame")

    monkeypatch.setattr("orchestrator.__main__.app", buggy)
    with pytest.raises(SystemExit):
        main()
    out, err = capsys.readouterr()
    assert "opensesame" not in out + err
    assert "RuntimeError: ${ENV:DB_PASSWORD}" in err and "Traceback" in err
