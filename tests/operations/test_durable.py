"""The workflow engine as it is set up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest
from dbos._serialization import DefaultSerializer
from sqlalchemy import Engine, create_engine

from gstack.operations import durable


def test_pickled_rows_are_neither_read_nor_written() -> None:
    durable.forbid_pickle()
    with pytest.raises(durable.PickleRefused):
        DefaultSerializer().deserialize("gASVAQAAAAAAAABOLg==")
    with pytest.raises(durable.PickleRefused):
        DefaultSerializer().serialize({})


def test_a_dbos_whose_pickle_path_cannot_be_closed_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "_refuse", lambda *_arguments: None)
    with pytest.raises(durable.PickleRefused, match="cannot be closed"):
        durable.forbid_pickle()
    monkeypatch.undo()
    durable.forbid_pickle()


@pytest.mark.parametrize("enter", [durable.client, partial(durable.launch, concurrency=1, turns=threading.Event())])
def test_there_is_no_way_to_dbos_that_leaves_pickle_open(
    monkeypatch: pytest.MonkeyPatch, enter: Callable[[Engine], object]
) -> None:
    def closed() -> None:
        raise durable.PickleRefused("before anything is read")

    monkeypatch.setattr(durable, "forbid_pickle", closed)
    with pytest.raises(durable.PickleRefused, match="before anything"):
        enter(create_engine("sqlite://"))


def test_the_version_of_all_work_is_the_same_for_ever() -> None:
    # Work in flight waits for a worker of its own version: a change here strands it.
    assert durable.VERSION == "1"
    assert durable.options("op.x", "operation-1", "line")["app_version"] == "1"


def test_the_loop_over_the_queue_begins_anew_until_the_worker_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "IDLE_SECONDS", 0.0)
    turns, begun = threading.Event(), []

    def loop() -> None:
        begun.append(len(begun))
        if len(begun) == 1:
            return  # the queue's row was away
        if len(begun) == 2:
            raise OSError("no file is left")
        turns.set()

    durable.attend(turns, loop)
    assert begun == [0, 1, 2]
