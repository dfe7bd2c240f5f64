from __future__ import annotations

import math
import multiprocessing
import os

import pytest

from orchestrator.records import (
    Request,
    RunFolder,
    UnreadableRequestWarning,
    requests_of,
    write_request,
)

PER_WRITER = 50


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path, "panda")


def a_set(**changes):
    return Request("set", "00000", {"changes": changes})


def test_a_request_is_read_back_as_it_was_written(folder):
    asked = Request(
        "set",
        "00000",
        {"changes": {"learning_rate": 0.01, "limit": math.inf}},
        why="loss is bouncing — really",
        at_day=4,
        expect={"learning_rate": 0.05},
        force=True,
    )
    written = write_request(folder, asked)
    assert requests_of(folder) == [written]
    assert written.id == next(folder.requests.glob("*.json")).stem


def test_requests_come_in_the_order_in_which_they_were_made(folder):
    written = [write_request(folder, a_set(learning_rate=rate)) for rate in (0.3, 0.1, 0.2)]
    assert requests_of(folder) == written


def test_requests_to_another_trial_are_left_out(folder):
    write_request(folder, Request("pause", "gentle"))
    mine = write_request(folder, Request("pause", "00000"))
    assert requests_of(folder, "00000") == [mine]


def test_a_run_that_nobody_asked_anything_has_no_requests(folder):
    assert requests_of(folder) == []
    assert not folder.requests.exists()


@pytest.mark.parametrize(
    "content",
    [
        *("{", "[]", "{}", '{"action": "set"}', "\xff\xfe"),
        '{"action": "dance", "trial": "0", "arguments": {}, "who": "a@b", "time": "t"}',
        '{"action": "set", "trial": "0", "arguments": 3, "who": "a@b", "time": "t"}',
    ],
)
def test_a_file_that_is_no_request_is_left_out_with_a_warning(folder, content):
    whole = write_request(folder, a_set(momentum=0.5))
    (folder.requests / "00000000000000000000-host-1-aa.json").write_bytes(content.encode("latin1"))
    with pytest.warns(UnreadableRequestWarning, match="not a request"):
        assert requests_of(folder) == [whole]


def test_half_written_files_are_not_looked_at(folder):
    folder.requests.mkdir()
    (folder.requests / ".00000000000000000000-host-1-aa.json.7.part").write_text("{")
    assert requests_of(folder) == []


def test_an_unknown_action_is_no_request():
    with pytest.raises(ValueError, match="expected one of set, pause"):
        Request("dance", "00000")


def test_who_asks_is_a_user_at_a_host():
    user, at, host = Request("pause", "00000").who.partition("@")
    assert user and at and host


def _ask_often(path, writer):
    for number in range(PER_WRITER):
        write_request(RunFolder(path), a_set(writer=writer, number=number))


def test_two_processes_that_ask_at_once_lose_nothing_and_keep_their_order(folder):
    context = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")
    writers = [context.Process(target=_ask_often, args=(folder.path, name)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(300)
    changes = [request.arguments["changes"] for request in requests_of(folder)]
    for name in "ab":
        numbers = [change["number"] for change in changes if change["writer"] == name]
        assert numbers == list(range(PER_WRITER))
