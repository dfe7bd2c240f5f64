"""The chaos suite's short form: two hits a run, each with another weapon; `make chaos` is the long one."""

from __future__ import annotations

import pytest

import orchestrator
from tests.chaos.experiment import KINDS, write_experiment
from tests.chaos.report import told
from tests.chaos.story import ground

pytestmark = [
    pytest.mark.integration,
    # The suite reads records while they are torn.
    pytest.mark.filterwarnings("ignore::orchestrator.records.TornLineWarning"),
]
EPOCHS = 16
ROWS_UNDER_ASHA = 50
"""About how many epochs eight trials train under ASHA: moments are drawn among them."""


@pytest.fixture(scope="module")
def here():
    with ground(seed=5, epochs=EPOCHS) as place:
        yield place


@pytest.fixture(scope="module")
def reference(here):
    """The same trials in one process, which nobody hits."""
    folder = here.folder / "unhurt"
    file = write_experiment(KINDS["none"], "ref", folder, folder / "runs", here.epochs)
    return orchestrator.run(file, progress=False, executor="inline").records


def test_a_run_that_was_killed_and_torn_ends_as_if_it_had_not_been(here, reference):
    story = here.tell("none", "kills", ("worker", "torn epochs"), reference)
    assert story.faults == [], told(story)


def test_so_does_one_under_asha_terminated_flipped_and_repaired(here, reference):
    weapons = ("sigterm", "flipped epochs")
    story = here.tell("asha", "asha", weapons, reference, ROWS_UNDER_ASHA)
    assert story.faults == [], told(story)
