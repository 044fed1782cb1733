"""Waiting requests: how many, how often the database is asked, and what the others notice."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from gstack.operations.holds import Holds
from tests.waiting import until


class Table:
    """Stands for the database: which operations are DONE, and every question about it."""

    def __init__(self) -> None:
        self.done: set[str] = set()
        self.questions: list[tuple[str, ...]] = []
        self.broken = False

    def __call__(self, names: Collection[str]) -> set[str]:
        self.questions.append(tuple(sorted(names)))
        if self.broken:
            self.broken = False
            raise OSError("away")
        return self.done & set(names)


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def make(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Holds]]:
    monkeypatch.setattr("gstack.operations.holds.AFTER_AN_ERROR_SECONDS", 0.01)
    made: list[Holds] = []

    def holds(slots: int) -> Holds:
        made.append(Holds(slots, table, tmp_path, poll_seconds=0.005))
        return made[-1]

    yield holds
    for one in made:
        one.close()


def test_whoever_waits_is_let_go_when_the_operation_is_done(make: Any, table: Table) -> None:
    holds, answers = make(4), []
    thread = threading.Thread(target=lambda: answers.append(holds.until_done("o", 60)))
    thread.start()
    until(lambda: table.questions)
    table.done.add("o")
    thread.join(60)
    assert answers == [True]


def test_waiting_ends_when_its_time_is_up(make: Any) -> None:
    assert make(1).until_done("o", 0.02) is False


def test_no_time_to_wait_takes_no_slot_and_asks_nothing(make: Any, table: Table) -> None:
    assert make(1).until_done("o", 0) is False
    assert table.questions == []


def test_there_is_always_one_slot(make: Any, table: Table) -> None:
    table.done.add("o")
    assert make(-4).until_done("o", 60) is True


def test_a_slot_is_free_again_afterwards(make: Any, table: Table) -> None:
    holds = make(1)
    holds.until_done("o", 0.01)
    table.done.add("o")
    assert holds.until_done("o", 60) is True


def test_of_five_hundred_that_wait_at_once_those_without_a_slot_are_turned_away_at_once(
    make: Any, table: Table
) -> None:
    holds, answers = make(24), []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(holds.until_done(f"o{n}", 60)), daemon=True)
        for n in range(500)
    ]
    for thread in threads:
        thread.start()
    until(lambda: len(answers) == 476)
    assert answers == [False] * 476
    table.done.update(f"o{n}" for n in range(500))
    for thread in threads:
        thread.join(60)
    assert answers.count(True) == 24


def test_one_question_is_asked_for_all_that_wait_and_none_when_nobody_does(make: Any, table: Table) -> None:
    holds = make(8)
    threads = [threading.Thread(target=holds.until_done, args=(f"o{n}", 60)) for n in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: any(len(question) == 8 for question in table.questions))
    table.done.update(f"o{n}" for n in range(8))
    for thread in threads:
        thread.join(60)
    assert all(table.questions), "asked although nobody waited"


def test_a_database_that_fails_for_a_moment_is_asked_again(make: Any, table: Table) -> None:
    table.broken = True
    table.done.add("o")
    assert make(1).until_done("o", 60) is True


def test_when_all_are_let_go_nobody_waits_any_more_and_nobody_is_told_that_it_is_done(make: Any, table: Table) -> None:
    holds, answers = make(4), []
    threads = [threading.Thread(target=lambda n=n: answers.append(holds.until_done(f"o{n}", 60))) for n in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: any(len(question) == 3 for question in table.questions))
    holds.close()
    for thread in threads:
        thread.join(60)
    assert answers == [False] * 3
    assert holds.until_done("late", 60) is False


def test_who_finds_no_file_for_a_bell_does_not_wait(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("gstack.operations.bells.Bell", none_left)
    assert not make(1).until_done("one", 600)
    assert not make(1).until_done("one", 600), "and its slot is free"
