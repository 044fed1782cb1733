"""That a process is to end: said by handlers of signals, wherever the main thread is."""

from __future__ import annotations

import signal

from gstack.ending import End


def test_it_may_be_said_in_the_middle_of_saying_it_and_of_waiting_for_it() -> None:
    end, told = End(), []

    def tell(*_: object) -> None:
        told.append(None)
        end.tell()

    before = signal.signal(signal.SIGALRM, tell)
    signal.setitimer(signal.ITIMER_REAL, 3e-4, 3e-4)
    try:
        while len(told) < 3000:
            assert end.wait(10)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_it_may_be_said_more_often_than_a_pipe_has_room() -> None:
    end = End()
    assert not end.wait(0)
    for _ in range(100_000):
        end.tell()
    assert end.wait(0)
