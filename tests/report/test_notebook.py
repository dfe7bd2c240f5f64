"""A run in a Jupyter notebook, in a real kernel: how it goes on, what it shows of itself, its figures."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

RUN = """
import sys, time
sys.path.insert(0, {root!r})
import orchestrator

def train(hp, report):
    print("a trial's own words")
    for epoch in range(1, 4):
        time.sleep(0.5)
        report(epoch, val_accuracy=hp["rate"] * epoch)

told = dict(name="noted", metric="val_accuracy", epochs=3, search_space={{"rate": "uniform(0, 0.3)"}},
            caviar={{"num_samples": 3, "scheduler": "none"}})
run = orchestrator.run(trial=train, executor="inline", **told)
"""
BROKEN = """
import os, signal
def broken(hp, report):
    report(1, val_accuracy=0.5)
    os.kill(os.getpid(), signal.SIGINT)  # as a kernel is interrupted
    report(2, val_accuracy=0.6)

orchestrator.run(trial=broken, executor="inline", **(told | {"name": "broken"}))
"""


class Listening(nbclient.NotebookClient):
    """Counts the kinds of messages that the kernel sends, and keeps the updates."""

    def __init__(self, *given, **more):
        super().__init__(*given, **more)
        self.kinds: Counter[str] = Counter()
        self.updates: list[tuple[int, str]] = []

    def process_message(self, msg, cell, cell_index):
        self.kinds[msg["msg_type"]] += 1
        if msg["msg_type"] == "update_display_data":
            self.updates.append((cell_index, msg["content"]["data"]["text/plain"]))
        return super().process_message(msg, cell, cell_index)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    code = [RUN.format(root=str(Path(__file__).parents[2])), "run", "run.plot.curves()", BROKEN]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in code])
    client = Listening(
        notebook, timeout=300, allow_errors=True, resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    return client, [cell["outputs"] for cell in notebook["cells"]]


def blocks(outputs) -> list[str]:
    shown = [each["data"] for each in outputs if each["output_type"] == "display_data"]
    return [each["text/html"] for each in shown if "<pre" in each.get("text/html", "")]


def test_a_run_goes_on_in_one_block_that_is_drawn_again_and_ends(executed):
    client, [outputs, *_] = executed
    [block] = blocks(outputs)
    assert "3/3 trials" in block and "Interrupt the kernel" not in block
    told = [re.search(r"(\d)/3 trials", text) for cell, text in client.updates if cell == 0]
    counts = [int(each[1]) for each in told if each]
    assert len(counts) >= 3 and counts == sorted(counts) and counts[0] < 3
    assert not client.kinds["comm_open"], "no widget"


def test_what_trials_print_stands_beside_the_block(executed):
    _, [outputs, *_] = executed
    printed = "".join(each["text"] for each in outputs if each["output_type"] == "stream")
    assert printed.count("a trial's own words") == 3


def test_a_run_shows_itself_and_its_figures(executed):
    _, [_, shown, drawn, _] = executed
    [card] = [
        each["data"]["text/html"] for each in shown if each["output_type"] == "execute_result"
    ]
    assert "<strong>noted</strong>: finished" in card and card.count("<tr>") == 4
    [figure] = [each["data"] for each in drawn if each["output_type"] == "execute_result"]
    assert "image/png" in figure


def test_a_run_that_is_interrupted_leaves_a_block_that_is_over(executed):
    _, [*_, outputs] = executed
    [block] = blocks(outputs)
    assert "1/3 trials" in block and "\x1b" not in block
    [run] = [each["data"] for each in outputs if each["output_type"] == "execute_result"]
    assert "<strong>broken</strong>: interrupted" in run["text/html"]
