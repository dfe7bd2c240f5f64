from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from orchestrator.records.lock.driver import ProcessIdentity, lives, this_process

LINUX = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="elsewhere only a heartbeat tells"
)
WHO = """
import dataclasses, json
from orchestrator.records.lock.driver import this_process
print(json.dumps(dataclasses.asdict(this_process())), flush=True)
input()
"""


@pytest.fixture
def other():
    """Another process, and who it says it is."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", WHO], **pipes)
    yield process, ProcessIdentity(**json.loads(process.stdout.readline()))
    process.kill()
    process.communicate()


def test_this_process_lives():
    assert lives(this_process()) in (True, None)
    assert this_process() == this_process()


@LINUX
def test_a_process_lives_until_it_is_killed_and_not_as_a_zombie(other):
    process, who = other
    assert who.pid == process.pid
    assert lives(who) is True
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet buried
    assert lives(who) is False
    process.wait()
    assert lives(who) is False


@LINUX
def test_a_later_process_of_the_same_number_is_another():
    me = this_process()
    assert lives(replace(me, process_started=me.process_started - 1)) is False


@LINUX
@pytest.mark.parametrize("elsewhere", ["boot_id", "pid_namespace"])
def test_a_process_of_another_machine_or_container_cannot_be_looked_up(elsewhere):
    assert lives(replace(this_process(), **{elsewhere: "another"})) is None
    assert lives(replace(this_process(), **{elsewhere: ""})) is None
