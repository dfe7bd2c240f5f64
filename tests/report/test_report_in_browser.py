"""Pages as a person uses them: opened, clicked, filtered, brushed, printed, on a phone. Nothing complains."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from orchestrator.records import TrialEnd, TrialStarted
from orchestrator.report import write_report
from orchestrator.report.html import report_html
from orchestrator.report.run_summary import summarize
from tests.axe import dark, findings, why_no_axe
from tests.browser import Browser, why_no_browser
from tests.fortnight import make_folder, write_fortnight
from tests.report.made_up import made_up_run
from tests.report.test_mistakes import MISTAKEN, PNG, of_class
from tests.report.test_report_html import HOSTILE, with_hostile
from tests.report.test_report_parts import DETAILS

SHOWN = "[...document.querySelectorAll('#table tbody tr')].filter(row => row.offsetParent).length"


@pytest.fixture(scope="module")
def browser():
    if why := why_no_browser():
        pytest.skip(why)
    with Browser() as opened:
        opened.size(1280, 900)
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    run = made_up_run(300)
    started = [line for line in made_up_run(5).trial_lines if isinstance(line, TrialStarted)]
    ends = [
        TrialEnd(each.trial, "failed", error="ValueError: no", time=each.time) for each in started
    ]
    runs = {
        "caviar": [run],
        "panda": [write_fortnight(make_folder(folder / "runs", "babysat"))],
        "failed": [replace(made_up_run(5), trial_lines=(*started, *ends), epochs=())],
        "compared": [run, made_up_run(40, epochs=9)],
    }
    for name, records in runs.items():
        write_report(records, folder / f"{name}.html", thorough=name == "caviar")
    (folder / "examined.html").write_text(report_html([examined()]), encoding="utf-8")
    return folder


def examined():
    """A run whose winner was examined, its layers and rows that it gets wrong with it."""
    layer = {"layer": "z", "kind": "Dense", "output": "3", "parameters": 15, "trainable": 15}
    model = {"layers": [layer], "left_out": 0, "parameters": 15, "trainable": 15}
    rows = [of_class(row, picture=PNG) for row in range(9)]
    told = {"details": DETAILS | {"model": model}, "examples": MISTAKEN | {"examples": rows}}
    return replace(summarize(made_up_run(12)), **told)


ALL = ["caviar", "examined", "panda", "failed", "compared"]


def settle(browser: Browser) -> None:
    """Draw all figures, as scrolling to each of them does, and wait for two frames."""
    browser.run("figures.forEach(drawFigure)")
    browser.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def until(browser: Browser, condition: str) -> None:
    """Wait until something is so: what a key leads to is done a little later."""
    look = f"const look = () => {condition} ? done(true) : setTimeout(look, 20); look();"
    browser.run(f"new Promise(done => {{ {look} }})")


@pytest.mark.parametrize("name", ALL)
def test_every_figure_is_drawn_nothing_complains_and_nothing_is_loaded(browser, pages, name):
    file = pages / f"{name}.html"
    browser.open(file)
    settle(browser)
    empty = (
        "figures.filter(each => !each.querySelector('svg path')).map(each => each.dataset.chart)"
    )
    assert browser.run(empty) == []
    switches = browser.run("document.querySelectorAll('[data-switch]').forEach(b => b.click())")
    assert switches is None
    assert browser.complaints() == []
    assert browser.requests() == [file.as_uri()]


def test_what_was_typed_runs_nothing(browser, tmp_path):
    file = tmp_path / "hostile.html"
    for text in HOSTILE[:12]:
        write_report([with_hostile(text)], file)
        browser.open(file)
        settle(browser)
        assert (browser.complaints(), browser.requests()) == ([], [file.as_uri()]), text


def test_a_filter_keeps_rows_and_a_click_on_a_heading_sorts_them(browser, pages):
    browser.open(pages / "caviar.html")
    assert browser.run(SHOWN) == 200, "the first page of 300"
    browser.run("document.getElementById('more').click()")
    assert browser.run(SHOWN) == 300
    browser.run("document.getElementById('filter').value = 'units=16'")
    browser.run("document.getElementById('filter').dispatchEvent(new Event('input'))")
    assert browser.run(SHOWN) == 100
    names = browser.run("[...table.tHead.rows[0].cells].map(cell => cell.textContent)")
    place = names.index("learning_rate")
    browser.run(f"table.tHead.rows[0].cells[{place}].click()")
    column = f"[...table.tBodies[0].rows].map(row => parseFloat(row.cells[{place}].textContent))"
    rates = browser.run(column)
    assert rates == sorted(rates, reverse=True)
    assert browser.run(f"table.tHead.rows[0].cells[{place}].ariaSort") == "descending"


def test_a_drag_along_an_axis_keeps_the_trials_of_that_range(browser, pages):
    browser.open(pages / "caviar.html")
    browser.run("document.querySelector('[data-chart=parallel]').scrollIntoView()")
    settle(browser)
    place = "(({x, y}) => [x, y])(document.querySelector('[data-chart=parallel]').getBoundingClientRect())"
    x, y = browser.run(place)
    browser.drag(x + 48, y + 60, y + 200)
    text = browser.run("document.getElementById('shown').textContent")
    kept, whole = map(int, re.fullmatch(r"(\d+) of (\d+) trials", text).groups())
    assert 0 < kept < whole == 300
    browser.run("document.getElementById('clear').click()")
    assert browser.run("document.getElementById('shown').textContent") == "300 trials"
    assert browser.complaints() == []


def test_a_link_to_a_trial_opens_its_part_with_its_curve_and_hyperparameters(browser, pages):
    browser.open(pages / "caviar.html", "#trial-00007")
    dialog = "document.getElementById('trial')"
    assert browser.run(f"{dialog}.open")
    assert browser.run("document.getElementById('trial-title').textContent") == "Trial 00007"
    told = browser.run(f"[...{dialog}.querySelectorAll('dt')].map(each => each.textContent)")
    assert {"status", "learning_rate", "1-momentum"} <= set(told)
    assert browser.run(f"{dialog}.querySelectorAll('svg path').length") > 5
    browser.run(f"{dialog}.querySelector('button').click()")
    assert not browser.run(f"{dialog}.open")


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ALL)
def test_axe_finds_nothing(browser, pages, name, is_dark):
    if why := why_no_axe():
        pytest.skip(why)
    dark(browser, is_dark)
    try:
        browser.open(pages / f"{name}.html")
        settle(browser)
        browser.run("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert findings(browser) == []
        if name == "caviar":
            browser.open(pages / f"{name}.html", "#trial-00007")
            assert findings(browser) == [], "with a trial's part open"
    finally:
        dark(browser, False)


def test_axe_would_find_something(browser, pages):
    if why := why_no_axe():
        pytest.skip(why)
    browser.open(pages / "failed.html")
    browser.run("document.querySelector('main').append(document.createElement('img')); 0")
    assert [each.partition(":")[0] for each in findings(browser)] == ["image-alt"]


FOCUSED = "document.activeElement.textContent.trim()"


def test_everything_is_reached_and_done_by_keys(browser, pages):
    browser.open(pages / "caviar.html")
    browser.run("document.getElementById('filter').focus()")
    for letter in "units=16":
        browser.press(letter)
    assert browser.run("document.getElementById('shown').textContent") == "100 of 300 trials"
    browser.press("Tab", 3)
    assert browser.run(FOCUSED) == "trial", "after the button that shows all, and the table"
    browser.press("Enter")
    assert browser.run("document.activeElement.ariaSort") in ("ascending", "descending")
    heads = browser.run("table.tHead.rows[0].cells.length")
    browser.press("Tab", heads)
    name = browser.run(FOCUSED)
    browser.press("Enter")
    until(browser, "document.getElementById('trial').open")
    assert browser.run("document.getElementById('trial-title').textContent") == f"Trial {name}"
    assert browser.run("document.getElementById('trial').contains(document.activeElement)")
    browser.press("Escape")
    until(browser, "location.hash === '#trials'")
    assert not browser.run("document.getElementById('trial').open")
    assert browser.run(FOCUSED) == name, "where one was"
    assert browser.complaints() == []


def test_a_figures_switches_and_its_table_are_worked_by_keys(browser, pages):
    browser.open(pages / "caviar.html")
    browser.run("document.querySelector('#figure-curves [data-switch=\"1\"]').focus()")
    browser.press("Enter")
    pressed = "document.querySelector('#figure-curves [aria-pressed=true]').textContent"
    assert browser.run(pressed) == "Epochs, log"
    browser.run("document.querySelector('#figure-curves summary').focus()")
    browser.press("Enter")
    assert browser.run("document.querySelector('#figure-curves details').open")


@pytest.mark.parametrize("name", ["caviar", "examined", "panda", "compared"])
def test_a_phone_scrolls_no_page_sideways(browser, pages, name):
    browser.size(390, 844, mobile=True)
    try:
        browser.open(pages / f"{name}.html")
        settle(browser)
        assert browser.run("document.documentElement.scrollWidth") <= 390
    finally:
        browser.size(1280, 900)


def test_a_print_has_figures_as_wide_as_its_paper_and_all_rows(browser, pages):
    browser.open(pages / "caviar.html")
    pdf = browser.pdf()
    assert pdf.startswith(b"%PDF") and pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") > 3
    assert browser.complaints() == []


def test_ten_thousand_trials_open_in_less_than_10_megabytes(browser, tmp_path):
    file = tmp_path / "many.html"
    write_report([made_up_run(10_000)], file)
    assert file.stat().st_size < 10e6
    browser.open(file)
    assert browser.run(SHOWN) == 200
    settle(browser)
    assert browser.complaints() == []
