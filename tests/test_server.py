"""What the server does before its workers are forked. Real servers: tests/clients/test_demo.py and test_kill.py."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gstack import server
from gstack.settings import Settings
from gstack.store.sealing import ensure_keys


@pytest.fixture
def uncollected() -> Iterator[None]:
    """What goes in circles stays where it is."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the files of a process")
@pytest.mark.usefixtures("uncollected")
def test_no_connection_of_sqlite_is_open_when_workers_are_forked(tmp_path: Path) -> None:
    settings = Settings({"PATH": str(tmp_path)})
    ensure_keys(settings)
    for _ in range(2):  # the second finds a database that is there
        server._check_store(settings)
    store = [file for file in Path("/proc/self/fd").iterdir() if file.is_symlink() and _leads(file, tmp_path)]
    assert store == []


def _leads(file: Path, folder: Path) -> bool:
    try:
        return file.readlink().is_relative_to(folder)
    except FileNotFoundError:  # the file by which the folder of files is read
        return False
