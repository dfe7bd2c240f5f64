"""Why a babysat trial ended, in words, from its journal."""

from __future__ import annotations

import pytest

from orchestrator.records import RunWriter, TrialEnd, read_run
from orchestrator.report.journal_text import why_ended
from tests.fortnight import ADA, MAIN, applied, asked, entry, make_folder, write_fortnight

VERDICT = entry("verdict", 4, rule="plateau", text="More of the same will not help.")
CASES = {
    "a person": (
        "stopped",
        [asked(4, "stop", "r9", "enough"), applied(4, "stop", "r9")],
        f'stopped after day 2 of 5 by {ADA}: "enough"',
    ),
    "the sitter": (
        "stopped",
        [VERDICT],
        "stopped after day 2 of 5 by the sitter (plateau): More of the same will not help.",
    ),
    "a verdict of an older version": (
        "stopped",
        [entry("advice", 4, rule="divergence", suggests="stop"), entry("verdict", 4, text="No.")],
        "stopped after day 2 of 5 by the sitter (divergence): No.",
    ),
    "a verdict that was taken back": (
        "stopped",
        [VERDICT, applied(2, "rollback", stretch=2, to_day=1, to_epoch=2), applied(4, "stop")],
        f"stopped after day 1 of 5 by {ADA}",
    ),
    "a loss that is not finite": (
        "diverged",
        [entry("verdict", 4, text="the loss is not finite")],
        "diverged after day 2 of 5: the loss is not finite",
    ),
}


@pytest.fixture
def ended(tmp_path):
    def end(status, lines, **about):
        folder = make_folder(tmp_path)
        write_fortnight(folder)
        with RunWriter(folder) as writer:
            writer.journal(lines)
            writer.trial_ended(TrialEnd(MAIN, status, 1.0, **about))
        records = read_run(folder.path)
        return why_ended(records, records.trial(MAIN))

    return end


@pytest.mark.parametrize("case", CASES)
def test_who_ended_it_is_told(ended, case):
    status, lines, words = CASES[case]
    assert ended(status, lines) == words


def test_a_limit_is_told(ended):
    by = {"scheduler": "max_trial_time", "epoch": 5}
    assert ended("stopped", [], stopped_by=by).endswith("limits.max_trial_time was used up")


@pytest.mark.parametrize("status", ["finished", "failed", "interrupted"])
def test_nothing_is_told_of_another_ending(ended, status):
    assert ended(status, []) == ""
