"""Trials of a program that keeps its state in a folder: what is kept of it, and how it goes on."""

from __future__ import annotations

import sys

import pytest

from orchestrator.errors import TrialError
from tests.trials.test_command import advance, session, values

RESUMES = """
cd "$1"; touch epoch; read -r before life < epoch; epoch=$(( ${before:-0} + 1 ))
echo "from $epoch" >> "$OLDPWD/starts"
while [ $epoch -le 6 ]; do
  echo "$epoch $$" > epoch; echo "{\\"epoch\\": $epoch, \\"val_loss\\": $epoch}"
  until grep -qsx "$epoch $$" ../0000$epoch-*/epoch; do sleep 0.01; done
  epoch=$((epoch + 1))
done
"""


def resuming(opened, script=RESUMES, **changes):
    words = ("sh", "-c", script.replace("{", "{{").replace("}", "}}"), "sh", "{checkpoint}")
    return opened(*words, epochs=6, milestones=frozenset({3}), **changes)


def test_one_with_a_folder_goes_on_from_what_it_wrote_there(opened, tmp_path):
    workbench = resuming(opened)
    assert values(advance(session(workbench))) == [(1, 1.0), (2, 2.0), (3, 3.0)]
    again = session(workbench)
    advance(again)
    assert values(advance(again)) == [(4, 4.0), (5, 5.0), (6, 6.0)]
    assert (tmp_path / "starts").read_text() == "from 1\nfrom 4\n"
    workbench.leave()
    workbench.judge(tmp_path / "checkpoints" / "00000.npz", tmp_path / "best")
    assert (tmp_path / "best" / "checkpoint" / "epoch").read_text().startswith("1 "), "the best's"


def test_one_that_goes_on_beyond_its_reports_begins_again(opened, tmp_path):
    ahead = RESUMES.replace('cd "$1";', 'cd "$1"; [ -e epoch ] && echo 5 > epoch;')
    workbench = resuming(opened, ahead)
    advance(session(workbench))
    again = session(workbench)
    advance(again)
    assert values(advance(again)) == [(4, 4.0), (5, 5.0), (6, 6.0)]
    assert (tmp_path / "starts").read_text() == "from 1\nfrom 6\nfrom 1\n"


WRITES_ON = """
import os, sys, time
for epoch in range(1, 7):
    state = open(sys.argv[1] + "/weights", "w")
    {written}
    os.write(1, b'{{"epoch": %d, "val_loss": 1}}\\n' % epoch)
"""


@pytest.mark.parametrize(
    "written",
    [
        "time.sleep(0.1); print(epoch, epoch, file=state); state.close()",
        "print(epoch, file=state, flush=True); time.sleep(0.1); print(epoch, file=state, flush=True)",
    ],
    ids=["emptied", "half"],
)
def test_a_state_is_never_one_that_was_being_written(opened, tmp_path, written):
    (tmp_path / "mine.py").write_text(WRITES_ON.format(written=written))
    words = (sys.executable, "-S", "mine.py", "{checkpoint}")
    trial = session(opened(*words, epochs=6))
    while not advance(trial).done:
        pass
    for state in (tmp_path / "checkpoints").glob("*.files/[0-9]*"):
        assert (state / "weights").read_text().split() == [str(int(state.name[:5]))] * 2


def test_a_log_that_is_open_in_its_folder_keeps_no_state_from_it(opened, tmp_path):
    written = "print(epoch, file=state); state.close(); print(epoch, file=log, flush=True)"
    script = WRITES_ON.format(written=written).replace(
        "for epoch", "log = open(sys.argv[1] + '/log', 'w')\nfor epoch"
    )
    (tmp_path / "mine.py").write_text(script + "    time.sleep(0.2)\n")
    trial = session(opened(sys.executable, "-S", "mine.py", "{checkpoint}", epochs=6))
    while not advance(trial).done:
        pass
    states = [*(tmp_path / "checkpoints" / "00000.files").glob("[0-9]*")]
    assert states and all((state / "log").exists() for state in states)


def test_one_with_a_folder_numbers_its_epochs(opened):
    with pytest.raises(TrialError, match=r"expected the number of the epoch in each report"):
        advance(session(resuming(opened, "echo '{\"val_loss\": 1}'")))
