from __future__ import annotations

import webbrowser
from pathlib import Path


def test_report_writes_a_runs_page_into_its_folder(cli, a_run):
    a_run("first")
    result = cli("report", "first")
    assert (result.exit_code, result.stdout) == (0, "wrote runs/first/report.html\n")
    assert "<title>first</title>" in Path("runs/first/report.html").read_text(encoding="utf-8")


def test_report_sets_several_runs_beside_each_other(cli, a_run):
    a_run("first")
    a_run("second", trials=4)
    assert cli("report", "first", "second").stdout == "wrote comparison.html\n"
    assert "first · second" in Path("comparison.html").read_text(encoding="utf-8")
    assert cli("report", "first", "second", "--output", "both.html").exit_code == 0
    assert Path("both.html").is_file()


def test_report_opens_a_browser_where_there_is_one(cli, a_run, monkeypatch):
    a_run("first")
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: bool(opened.append(address)))
    result = cli("report", "first", "--open")
    assert opened == [Path("runs/first/report.html").absolute().as_uri()]
    assert "open the file in one" in result.stderr


def test_report_refuses_a_place_that_cannot_be_written_before_it_begins(cli, a_run):
    a_run("first")
    result = cli("report", "first", "--output", "nowhere/page.html")
    assert result.exit_code == 2
    assert "nowhere" in result.stderr


def test_figures_are_written_into_a_folder(cli, a_run):
    a_run("first")
    result = cli("report", "first", "--figures", "drawn/here")
    assert "files into drawn/here: curves" in result.stdout
    assert {"curves.svg", "curves.png"} <= {each.name for each in Path("drawn/here").iterdir()}
    Path("file").write_text("")
    refused = cli("report", "first", "--figures", "file")
    assert (
        refused.exit_code == 2
        and "--figures: expected a folder that can be written" in refused.stderr
    )
