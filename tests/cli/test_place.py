from __future__ import annotations

from pathlib import Path

from orchestrator.cli.author import _line
from orchestrator.tuning.doctor import Check


def test_doctor_has_a_line_a_finding_in_80_columns(cli):
    result = cli("doctor", "--no-ray")
    lines = result.stdout.splitlines()
    assert {line[:4].strip() for line in lines} <= {"ok", "warn", "fail", ""}
    assert [line.split()[1] for line in lines if line[0] != " "][:3] == [
        "Python",
        "packages",
        "cores",
    ]
    assert max(map(len, lines)) <= 80
    assert not any("starts here" in line for line in lines), "Ray was started"


def test_doctor_exits_1_where_something_fails(cli):
    Path("file").write_text("")
    result = cli("doctor", "--no-ray", "--storage", "file/runs")
    assert result.exit_code == 1
    assert "fail  disk" in result.stdout and "-> choose another place" in result.stdout


def test_advice_stands_below_its_finding():
    text = _line(Check("warn", "memory", "1.0 GiB available", "stop something"))
    assert text.splitlines() == [
        "warn  memory      1.0 GiB available",
        "                  -> stop something",
    ]
