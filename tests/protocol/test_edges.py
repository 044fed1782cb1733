"""How the parts of a batch are run."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gstack.protocol.edges import PARALLEL_PARTS, run_parts


@pytest.fixture
def helpers():
    with ThreadPoolExecutor(4) as pool:
        yield pool


def test_answers_come_in_the_order_of_the_parts(helpers) -> None:
    assert run_parts(helpers, list(range(100)), lambda part: part * 2) == [part * 2 for part in range(100)]


def test_parts_run_side_by_side(helpers) -> None:
    together = threading.Barrier(4, timeout=30)
    assert run_parts(helpers, [1, 2, 3, 4], lambda part: together.wait() >= 0) == [True] * 4


def test_a_batch_goes_on_while_every_helper_is_busy(helpers) -> None:
    free = threading.Event()
    for _ in range(4):
        helpers.submit(free.wait)
    try:
        assert run_parts(helpers, list(range(3 * PARALLEL_PARTS)), str) == [str(n) for n in range(3 * PARALLEL_PARTS)]
    finally:
        free.set()


def test_a_part_that_breaks_breaks_its_batch_and_nothing_else(helpers) -> None:
    def broken(part: int) -> int:
        raise ValueError(part)

    with pytest.raises(ValueError):
        run_parts(helpers, [1, 2], broken)
    assert run_parts(helpers, [1, 2], str) == ["1", "2"]
