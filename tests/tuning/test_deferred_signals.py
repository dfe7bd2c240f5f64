from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
import time

import pytest

from orchestrator.tuning.cluster import deferred_signals


@pytest.fixture
def heard():
    """The signals that this process's own handler took."""
    taken = []
    before = {
        number: signal.signal(number, lambda number, _: taken.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    yield taken
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number):
    time.sleep(0.05)  # until the main thread waits
    os.kill(os.getpid(), number)
    time.sleep(0.05)  # until it is delivered, were it not held back


def test_a_signal_that_comes_during_an_action_is_delivered_after_it(heard):
    during = []

    def action():
        send(signal.SIGTERM)
        during.extend(heard)

    with deferred_signals() as do:
        do(action)
    assert (during, heard) == ([], [signal.SIGTERM])


def test_two_signals_are_both_delivered_in_their_order(heard):
    with deferred_signals() as do:
        do(lambda: (send(signal.SIGINT), send(signal.SIGTERM)))
    assert heard == [signal.SIGINT, signal.SIGTERM]


def test_a_handler_that_an_action_installs_below_python_gets_none_and_is_gone_afterwards(heard):
    def action():
        ctypes.CDLL(None).signal(int(signal.SIGTERM), None)  # SIG_DFL: ends the process
        send(signal.SIGTERM)

    with deferred_signals() as do:
        do(action)
    send(signal.SIGTERM)
    assert heard == [signal.SIGTERM] * 2


def test_all_actions_of_a_block_happen_in_one_thread_that_lives_until_its_end():
    threads = []
    with deferred_signals() as do:
        do(lambda: threads.append(threading.current_thread()))
        assert threads[0].is_alive()
        do(lambda: threads.append(threading.current_thread()))
    assert threads[0] is threads[1] is not threading.main_thread()
    assert not threads[0].is_alive()


def test_what_an_action_starts_hears_of_signals(heard):
    started = []
    with deferred_signals() as do:
        do(lambda: started.append(subprocess.Popen(["sleep", "60"])))
    started[0].terminate()
    assert started[0].wait(300) == -signal.SIGTERM


def test_what_an_action_raises_is_raised_and_signals_and_mask_are_as_before(heard):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGURG)]
    with pytest.raises(ZeroDivisionError), deferred_signals() as do:
        do(lambda: 1 / 0)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGURG)] == handlers
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


def test_what_a_handler_raises_comes_after_the_action():
    done = []

    def take(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, take)
    try:
        with pytest.raises(KeyboardInterrupt), deferred_signals() as do:
            do(lambda: (send(signal.SIGINT), done.append(True)))
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == [True]


def test_outside_the_main_thread_an_action_is_simply_done():
    threads = []

    def elsewhere():
        with deferred_signals() as do:
            do(lambda: threads.append(threading.current_thread()))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert threads == [thread]
