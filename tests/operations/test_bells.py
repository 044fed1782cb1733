"""Bells: who hears them, what becomes of those that nobody hears, and when the queue is looked at."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gstack.operations import bells, engine
from gstack.operations.bells import Bell, Turns
from gstack.operations.holds import Holds
from gstack.operations.run import Run
from gstack.operations.worker import launch_in_process
from gstack.operations.workflow import workflow

LONG = 60.0  # seconds that no test takes: what is waited for comes earlier


@pytest.fixture
def bell(tmp_path: Path) -> Iterator[Bell]:
    made = Bell(tmp_path, "work")
    yield made
    made.close()


def test_who_listens_hears_a_ring_from_outside_once(bell: Bell, tmp_path: Path) -> None:
    assert bells.ring(tmp_path, "work")
    assert bell.wait(LONG)
    assert not bell.wait(0)


def test_rings_that_nobody_heard_are_one_however_many_there_were(bell: Bell, tmp_path: Path) -> None:
    for _ in range(70_000):  # more than a pipe holds
        bell.ring()
    assert bells.ring(tmp_path, "work"), "a full one does not make who rings wait"
    assert bell.wait(LONG)
    assert not bell.wait(0)


def test_a_bell_is_for_its_owner_only(bell: Bell, tmp_path: Path) -> None:
    folder = tmp_path / bells.FOLDER
    assert [(found.name, found.stat().st_mode & 0o777) for found in folder.iterdir()] == [("work", 0o600)]
    assert folder.stat().st_mode & 0o777 == 0o700


def test_where_nobody_listens_nobody_is_waited_for(tmp_path: Path) -> None:
    assert not bells.ring(tmp_path, "work")
    Bell(tmp_path, "work").close()
    assert not bells.ring(tmp_path, "work")


def test_where_no_pipe_can_be_hung_a_bell_still_rings_from_within(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "mkfifo", refused)
    bell = Bell(tmp_path, "work")
    assert not bells.ring(tmp_path, "work")
    assert not bell.wait(0)
    bell.ring()
    assert [bell.wait(LONG), bell.wait(0)] == [True, False]
    bell.close()


def test_bells_of_the_dead_go_and_all_others_ring(tmp_path: Path) -> None:
    living = [Bell(tmp_path, f"done-{number}") for number in range(2)]
    other = Bell(tmp_path, "work")
    os.mkfifo(tmp_path / bells.FOLDER / "done-dead")
    bells.ring_all(tmp_path, "done-")
    assert [one.wait(0) for one in (*living, other)] == [True, True, False]
    assert sorted(one.name for one in (tmp_path / bells.FOLDER).iterdir()) == ["done-0", "done-1", "work"]
    for one in (*living, other):
        one.close()


def test_a_ring_ends_the_wait_for_the_next_look_at_the_queue(bell: Bell, tmp_path: Path) -> None:
    turns = Turns(bell, lambda: False, LONG)
    bells.ring(tmp_path, "work")
    assert turns.wait(LONG) is False


def test_the_end_of_the_queue_ends_the_wait_too(bell: Bell) -> None:
    turns, seen = Turns(bell, lambda: False, LONG), []
    thread = threading.Thread(target=lambda: seen.append(turns.wait(LONG)))
    thread.start()
    turns.set()
    thread.join(LONG)
    assert seen == [True]
    assert turns.wait(LONG) is True, "and whoever comes later does not wait at all"


class Deaf(Bell):
    """Never rings; notes how long it was waited for."""

    def __init__(self) -> None:
        self.waits: list[float | None] = []

    def wait(self, seconds: float | None) -> bool:
        self.waits.append(seconds)
        return False


def test_the_queue_is_looked_at_often_while_there_is_work_and_seldom_otherwise() -> None:
    now, working = [100.0], [False]
    deaf = Deaf()
    turns = Turns(deaf, lambda: working[0], 1.0, clock=lambda: now[0])
    turns.wait(0.1)  # it has just begun: there may be work from before
    now[0] += 2 * bells.RESTLESS_SECONDS
    turns.wait(0.1)
    working[0] = True
    turns.wait(0.1)
    working[0] = False
    turns.wait(0.1)  # the last one has just ended, and another one may have waited for it
    now[0] += 2 * bells.RESTLESS_SECONDS
    turns.wait(0.1)
    turns.wait(5.0)  # DBOS itself has reason to wait longer
    assert deaf.waits == [0.1, 1.0, 0.1, 0.1, 1.0, 5.0]


def test_a_request_that_waits_is_answered_as_soon_as_the_bell_rings(tmp_path: Path) -> None:
    done: set[str] = set()
    asked = threading.Event()

    def finished(names: object) -> set[str]:
        asked.set()
        return set(done)

    holds, answers = Holds(1, finished, tmp_path, poll_seconds=LONG), []
    thread = threading.Thread(target=lambda: answers.append(holds.until_done("o", LONG)))
    thread.start()
    assert asked.wait(LONG)
    done.add("o")
    bells.ring_all(tmp_path, bells.DONE)
    thread.join(LONG / 2)
    assert answers == [True]
    holds.close()
    assert list((tmp_path / bells.FOLDER).iterdir()) == []


HEARD = threading.Event()


@workflow("op.test.bell")
def with_more(run: Run, plan: dict[str, Any]) -> None:
    run.later("op.test.bell.more", {})


@workflow("op.test.bell.more")
def more(run: Run, plan: dict[str, Any]) -> None:
    HEARD.set()


def test_what_is_stored_and_what_that_leaves_for_later_is_taken_up_by_a_worker_that_never_looks_unless_it_hears_a_bell(
    app: Any, services: Any, make_call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gstack.operations.durable.IDLE_SECONDS", 3600.0)
    monkeypatch.setattr("gstack.operations.bells.RESTLESS_SECONDS", 0.0)
    HEARD.clear()
    target = "projects/p/zones/z-a/disks/bell"
    with launch_in_process(app, services), app.app_context():
        engine.start(make_call(), "op.test.bell", type="insert", target=target, plan={})
        assert HEARD.wait(LONG)
