"""A run's figures: Matplotlib's, from its records, safe whatever was typed."""

from __future__ import annotations

import math
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from orchestrator.analysis import Estimate, Importance, Weight
from orchestrator.errors import PlaceError, RecordError, UnknownNameError
from orchestrator.records import TrialStarted
from orchestrator.report import Plots, write_figures
from orchestrator.report.figures import course
from orchestrator.report.run_summary import summarize
from tests.fortnight import make_folder, write_fortnight
from tests.report.made_up import made_up_run
from tests.report.test_report_html import HOSTILE, with_hostile

OF_A_CAVIAR = {
    "curves",
    "parallel",
    "plane",
    "best_so_far",
    "rungs",
    "time",
    "pareto",
}


def test_each_figure_that_a_caviar_has_is_written_as_svg_and_png(tmp_path):
    files = write_figures([made_up_run(12)], tmp_path / "new" / "folder")
    assert {file.stem for file in files} == OF_A_CAVIAR
    for file in files:
        content = file.read_bytes()
        begin = b"\x89PNG" if file.suffix == ".png" else b"<?xml"
        assert content.startswith(begin) and file.suffix in (".svg", ".png")
    assert len(files) == 2 * len(OF_A_CAVIAR)


def test_a_panda_has_its_days_and_its_branches(tmp_path):
    records = write_fortnight(make_folder(tmp_path / "runs", "babysat"))
    plots = Plots(records)
    assert [name for name, _ in plots.all()][:2] == ["days", "tree"]
    top, rate = plots.days().axes
    assert {"rolled back", "gentle", "00000"} <= {each.get_label() for each in top.get_lines()}
    [own, _] = rate.get_lines()
    assert list(own.get_ydata()) == [0.1, 0.1, 0.1] and own.get_drawstyle() == "steps-pre"


def test_several_runs_are_drawn_over_each_other(tmp_path):
    files = write_figures([made_up_run(12), made_up_run(9, epochs=9)], tmp_path)
    assert {file.stem for file in files} == {"best_curves", "best_so_far"}


def test_the_same_run_gives_the_same_bytes():
    first, again = (Plots(made_up_run(12)).curves() for _ in range(2))
    for kind in ("svg", "png"):
        assert first.written(kind) == again.written(kind)


def test_lines_differ_in_more_than_their_colours():
    [axes] = Plots(made_up_run(30)).curves().axes
    best = [each for each in axes.get_lines() if each.get_marker() not in ("None", ".")]
    looks = {(each.get_marker(), each.get_linestyle()) for each in best}
    assert len(best) == len(looks) == 5


def test_a_line_runs_to_where_a_trial_lies_on_each_scale():
    run = made_up_run(8)
    figure = Plots(run).parallel()
    [lines] = figure.axes[0].collections
    leader = lines.get_paths()[-1].vertices
    space = run.ranked[0].hyperparameters
    assert leader[0][1] == pytest.approx((math.log10(space["learning_rate"]) + 4) / 4)
    assert leader[1][1] == pytest.approx(1 - (math.log10(space["one_minus_momentum"]) + 3) / 2)
    assert leader[-1][1] == pytest.approx(1.0), "the best score is at the top"


def test_what_mattered_is_drawn_with_its_intervals():
    weight = Weight("units", Estimate(0.6, 0.2, 0.9), None, True, 12, 1)
    found = Importance("val_accuracy", 27, 12, 3, (weight,))
    [axes] = course.importance(summarize(made_up_run(12), found)).axes
    [bars] = [each for each in axes.containers if hasattr(each, "patches") and each.patches]
    [whisker] = bars.errorbar.lines[2][0].get_segments()
    assert bars.patches[0].get_width() == 0.6
    assert [x for x, _ in whisker] == pytest.approx([0.2, 0.9])


def test_seconds_are_drawn_along_seconds():
    [axes] = Plots(made_up_run(12)).curves(x="seconds", log=True).axes
    assert (axes.get_xlabel(), axes.get_xscale()) == ("seconds of training", "log")
    longest = max(max(line.get_xdata()) for line in axes.get_lines())
    assert longest == pytest.approx(2.7)


@pytest.mark.parametrize(
    "ask, error, said",
    [
        (lambda plot: plot.rungs(), RecordError, "made-up: expected a scheduler with rungs"),
        (lambda plot: plot.days(), RecordError, "expected a panda"),
        (lambda plot: plot.race(), RecordError, "expected finalists"),
        (lambda plot: plot.confusion(), RecordError, "expected a winner that was examined"),
        (lambda plot: plot.curves("secs"), UnknownNameError, "Did you mean 'seconds'?"),
        (
            lambda plot: plot.pareto("weights"),
            UnknownNameError,
            "Received: 'weights'. Known: seconds of training, val_loss",
        ),
        (lambda plot: plot.importance(), RecordError, "20"),
    ],
)
def test_what_a_run_has_not_is_refused_in_a_sentence(ask, error, said):
    plot = Plots(made_up_run(12, caviar={"num_samples": 5, "scheduler": "none"}))
    with pytest.raises(error, match=said.replace("?", r"\?")):
        ask(plot)


def test_nothing_is_drawn_of_a_run_without_epochs(tmp_path):
    empty = replace(made_up_run(3), trial_lines=(), epochs=())
    assert write_figures([empty], tmp_path) == []


def hostile_run():
    """Trials of which each has another hostile text as its optimizer and its optimizer's name, and as its metric."""
    run = with_hostile(HOSTILE[0])
    texts = [*HOSTILE, r"$\alpha$", r"$\frac{", "_x", "日本語 🙂"]
    lines = [
        TrialStarted(f"{at:05}", at, at, {"optimizer": text, text: at}, time=run.events[0]["time"])
        for at, text in enumerate(texts)
    ]
    rows = [
        {"trial": each.trial, "epoch": 1, "metrics": {"<b>&$x$": 0.5 + at}, "seconds": 1.0}
        for at, each in enumerate(lines)
    ]
    space = {"optimizer": {"distribution": "choice", "values": texts}}
    experiment = run.experiment | {"metric": "<b>&$x$", "mode": "max", "search_space": space}
    return replace(run, experiment=experiment, trial_lines=tuple(lines), epochs=tuple(rows))


def test_what_was_typed_is_text_in_every_figure():
    plots = Plots(hostile_run())
    tags, texts = set(), []
    for figure in (plots.curves(), plots.parallel(), plots.best_so_far()):
        svg = ET.fromstring(figure.written("svg"))  # noqa: S314 (our own)
        tags |= {each.tag.rpartition("}")[2].lower() for each in svg.iter()}
        texts += [each.text for each in svg.iter("{http://www.w3.org/2000/svg}text")]
        assert figure.written("png").startswith(b"\x89PNG")
    assert not tags & {"script", "iframe", "img", "foreignobject", "form", "a", "link", "b"}
    assert {r"$\alpha$", "_x", "日本語 🙂", "<b>&$x$", "{{7*7}}"} <= set(texts)


def test_matplotlib_is_asked_for_in_a_sentence_where_it_lacks(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(PlaceError, match=r"pip install 'orchestrator\[figures\]'"):
        write_figures([made_up_run(3)], tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_pyplot_is_left_alone():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    Plots(made_up_run(5)).curves().written("svg")
    assert dict(mpl.rcParams) == before
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []
