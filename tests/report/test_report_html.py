"""The page of a run: one file, safe whatever was typed, with a table beside each figure."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from orchestrator.records import TrialEnd, TrialStarted
from orchestrator.report import write_report
from orchestrator.report.html import _asset, card, embedded, report_html
from orchestrator.report.html.charts import thinned
from orchestrator.report.run_summary import summarize
from tests.report.made_up import made_up_run

HOSTILE = [
    "<script>alert(1)</script>", "</script><script>alert(1)</script>", "</SCRIPT\t>x", "<!--", "<!--<script>", "-->",
    "]]>", "<![CDATA[", "<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>", "<svg><script>alert(1)</script>",
    "\"><script>alert(1)</script>", "'><img src=x>", "\" onmouseover=\"alert(1)", "' onfocus='alert(1)' autofocus='",
    "javascript:alert(1)", "data:text/html,<script>alert(1)</script>", "<a href=javascript:alert(1)>x</a>",
    "<iframe srcdoc='<script>alert(1)</script>'>", "<style>*{display:none}</style>", "</style><script>1</script>",
    "<base href=//evil.example/>", "<meta http-equiv=refresh content=0>", "<link rel=stylesheet href=//evil.example>",
    "<form action=//evil.example><button>", "<textarea>", "</textarea><script>", "<title>", "</title><script>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>", "<math><mtext></form><form><mglyph><style>",
    "<template><script>alert(1)</script></template>", "<table><tr><td>", "</td></tr></table><script>alert(1)</script>",
    "{{7*7}}", "{% raw %}", "${alert(1)}", "{a|b}", "{b}", "&lt;script&gt;", "&#60;script&#62;", "\\u003cscript\\u003e",
    "\u2028alert(1)", "\u2029", "\x00", "\x1b[2J", "\u202egnp.exe", "\ud800", "__proto__", "constructor",
    "\"};alert(1);//", "\\", "\\\"", "`alert(1)`", "\ufeff", "a" * 5000,
]  # fmt: skip


LIBRARY = _asset("echarts.min.js")


class Elements(HTMLParser):
    """The elements of a page with the names of their attributes, its scripts and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.attributes: list[dict] = []
        self.scripts: list[str] = []
        self.ids: list[str] = []
        self.text: list[str] = []
        self._in_script = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, tuple(sorted(name for name, _ in attrs))))
        self.attributes.append(dict(attrs) | {"tag": tag})
        self.ids += [value for name, value in attrs if name == "id"]
        self._in_script = tag == "script"

    def handle_endtag(self, tag):
        self._in_script = False

    def handle_data(self, data):
        (self.scripts if self._in_script else self.text).append(data)


def page_of(records) -> str:
    """Its page, but for the library that draws: a megabyte that takes a parser a while."""
    return report_html([summarize(records)]).replace(LIBRARY, "library")


def data_of(html: str) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1])


def with_hostile(text: str):
    """A run in which that text stands wherever one can type."""
    run = made_up_run(12, epochs=2)
    hyperparameters = {"optimizer": text, text: text, "learning_rate": 0.1}
    more = (
        TrialStarted("99998", 98, 1, hyperparameters, time="2026-11-29T00:00:00.000+00:00"),
        TrialEnd(
            "99998", "failed", error=text, error_file=text, time="2026-11-29T00:00:01.000+00:00"
        ),
        TrialStarted("99999", 99, 1, hyperparameters, time="2026-11-29T00:00:00.000+00:00"),
    )
    row = {
        "trial": "99999",
        "epoch": 1,
        "metrics": {"val_accuracy": 0.9, text: 0.5},
        "seconds": 1.0,
    }
    finished = {"event": "run_finished", "time": run.events[0]["time"], "reason": text}
    return replace(
        run,
        experiment=run.experiment | {"model": text, "search_space": text, "note": {text: text}},
        manifest={"task": {"said": [text]}, "command": [text], text: text},
        trial_lines=(*run.trial_lines, *more),
        epochs=(*run.epochs, row),
        events=(*run.events[:1], finished),
    )


@pytest.fixture(scope="module")
def harmless() -> Elements:
    return Elements(page_of(with_hostile("harmless")))


def test_fifty_hostile_texts_are_told():
    assert len(set(HOSTILE)) >= 50


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_text_adds_no_element_and_no_attribute(text, harmless):
    found = Elements(page_of(with_hostile(text)))
    assert found.elements == harmless.elements
    assert [s for s in found.scripts if s not in harmless.scripts] == found.scripts[:1], (
        "the data alone differ"
    )
    assert set(data_of(page_of(with_hostile(text)))) == {"charts", "curves"}


def test_what_was_typed_can_be_read():
    text = "</script><script>alert(1)</script>"
    found = Elements(page_of(with_hostile(text)))
    assert any(text in part for part in found.text)
    assert text in json.dumps(data_of(page_of(with_hostile(text))))


def test_no_secret_stands_in_a_page(monkeypatch):
    from orchestrator import redaction

    monkeypatch.setattr(redaction, "_KNOWN", redaction._Known())
    monkeypatch.setenv("DB_PASSWORD", "opensesame-and-more-of-it")
    html = page_of(with_hostile("it is opensesame-and-more-of-it"))
    assert "opensesame" not in html and "${ENV:DB_PASSWORD}" in html


@pytest.fixture(scope="module")
def html() -> str:
    return page_of(made_up_run(60))


@pytest.fixture(scope="module")
def found(html) -> Elements:
    return Elements(html)


def test_the_page_allows_its_own_scripts_alone_and_loads_nothing():
    found = Elements(report_html([summarize(made_up_run(12))]))
    [policy] = [each["content"] for each in found.attributes if each.get("http-equiv")]
    own = {
        f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'"
        for s in found.scripts[1:]
    }
    assert len(own) == 3
    assert set(re.search("script-src ([^;]*);", policy)[1].split()) == own
    assert policy.startswith("default-src 'none';")
    assert not [
        each for each in found.attributes if "src" in each or str(each.get("href", "#"))[0] != "#"
    ]


def test_each_figure_has_a_role_a_sentence_and_its_numbers_as_a_table(found, html):
    charts = [each for each in found.attributes if each.get("data-chart")]
    assert {each["data-chart"] for each in charts} == {
        "curves",
        "parallel",
        "plane",
        "progress",
        "rungs",
        "pareto",
        "time",
    }
    assert all(each["role"] == "img" and len(each["aria-label"]) > 40 for each in charts)
    for figure in re.findall("<figure.*?</figure>", html, re.DOTALL):
        assert "Show as table" in figure
        assert "<table" in figure or 'href="#trials"' in figure


def test_every_link_within_the_page_leads_somewhere(found):
    links = {each["href"][1:] for each in found.attributes if each.get("href")}
    assert links <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))


def test_a_rate_lies_on_a_log_axis_and_a_momentum_on_that_of_one_minus_it(html):
    axes = {
        each["name"]: each for each in data_of(html)["charts"]["parallel"]["option"]["parallelAxis"]
    }
    assert (axes["learning_rate"]["type"], axes["learning_rate"]["inverse"]) == ("log", False)
    assert (axes["1-momentum"]["type"], axes["1-momentum"]["inverse"]) == ("log", True)
    assert axes["1-momentum"]["max"] == pytest.approx(0.1)
    assert axes["units"]["data"] == ["16", "32", "64"]


def test_the_dashed_line_is_that_of_the_bests_effective_step(html):
    series = data_of(html)["charts"]["plane"]["option"]["series"]
    best = series[0]["data"][-1]["value"]
    [line] = [each["data"] for each in series if each["type"] == "line"]
    assert [x / y for x, y in line] == pytest.approx([best[0] / best[1]] * 2, rel=1e-4)


def test_a_rung_counts_who_came_and_who_went_on():
    rungs = {rung.epoch: (rung.reached, rung.went_on) for rung in summarize(made_up_run(60)).rungs}
    last = {}
    for row in made_up_run(60).epochs:
        last[row["trial"]] = row["epoch"]
    for epoch, (reached, went_on) in rungs.items():
        assert reached == sum(epoch <= each for each in last.values())
        assert went_on == sum(epoch < each for each in last.values())
    assert list(rungs) == [1, 3, 9]


def test_the_table_of_trials_is_there_without_a_script(html):
    rows = re.findall('<tr id="trial-.*', html)
    assert len(rows) == 60
    assert rows[0].startswith(f'<tr id="trial-{summarize(made_up_run(60)).trials[0].trial}"')


def test_a_run_without_a_single_success_has_a_page_that_says_so():
    run = made_up_run(3, epochs=1)
    started = [line for line in run.trial_lines if isinstance(line, TrialStarted)]
    ends = [
        TrialEnd(each.trial, "failed", error="ValueError: no", time=each.time) for each in started
    ]
    html = page_of(replace(run, trial_lines=(*started, *ends), epochs=()))
    assert "No winner: no trial has a finite val_accuracy." in html
    assert html.count("<td>ValueError: no") == 3, "in the table of failures"
    assert "error ValueError: no" in html, "once for all trials, since it is the same"


def test_a_page_of_a_thousand_trials_is_smaller_than_3_megabytes():
    assert len(report_html([summarize(made_up_run(1000))]).encode()) < 3e6


def test_a_figures_json_holds_nothing_that_is_no_number():
    assert embedded({"a": [float("nan"), float("inf"), 0.1234567]}) == '{"a":[null,null,0.123457]}'


def test_a_thinned_curve_keeps_its_ends_its_peak_and_what_it_was_told_to():
    values = [0.0] * 1000
    values[500] = 1.0
    kept = thinned(values, 20, [7])
    assert {0, 7, 500, 999} <= set(kept)
    assert len(kept) <= 21


@pytest.mark.parametrize("text", HOSTILE[:8], ids=range(8))
def test_a_notebook_shows_a_runs_best_and_first_trials_and_runs_nothing(text):
    shown = card(with_hostile(text))
    assert "14 trials" in shown and "val_accuracy <strong>0.9</strong>" in shown
    assert shown.count("<tr>") == 6, "a heading and five trials"
    assert {tag for tag, _ in Elements(shown).elements} <= {
        *("div", "p", "strong", "table", "thead", "tbody", "tr", "th", "td")
    }


def test_a_report_is_written_whole(tmp_path):
    write_report([made_up_run(12)], tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
