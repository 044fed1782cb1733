"""The connection to the store."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import IntegrityError

from gstack.store.credentials import ProjectId
from gstack.store.db import own_session, prepare_engine
from gstack.store.migrate import upgrade_database


def test_what_is_written_stands_in_no_error(store_app: Flask) -> None:
    upgrade_database(store_app)
    with store_app.app_context(), own_session() as session:
        for _ in range(2):
            session.add(ProjectId(id="what-is-written", owner="somebody"))
        with pytest.raises(IntegrityError) as caught:
            session.commit()
    assert "what-is-written" not in str(caught.value) and "project_id" in str(caught.value)


def read(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(text("SELECT word FROM words ORDER BY rowid")))


def write(engine: Engine, word: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS words (word TEXT)"))
        connection.execute(text("INSERT INTO words VALUES (:word)"), {"word": word})


@pytest.fixture
def engines(tmp_path: Path) -> list[Engine]:
    """Two that have a connection each, and share a database whose last words are in its write-ahead log."""
    made = [prepare_engine(create_engine(f"sqlite:///{tmp_path / 'words.db'}")) for _ in range(2)]
    for engine in made:
        write(engine, "old")
    assert (tmp_path / "words.db-wal").stat().st_size
    return made


def test_a_database_that_is_deleted_without_its_log_is_begun_anew(tmp_path: Path, engines: list[Engine]) -> None:
    (tmp_path / "words.db").unlink()
    for engine in engines:
        write(engine, "new")
    assert [read(engine) for engine in engines] == [["new", "new"]] * 2


def test_a_backup_that_is_moved_over_the_database_alone_is_what_is_read(tmp_path: Path, engines: list[Engine]) -> None:
    backup = tmp_path / "backup.db"
    with closing(sqlite3.connect(backup)) as connection:
        connection.executescript("CREATE TABLE words (word TEXT); INSERT INTO words VALUES ('kept');")
    backup.replace(tmp_path / "words.db")
    assert read(engines[0]) == ["kept"]
    write(engines[0], "new")
    assert [read(engine) for engine in engines] == [["kept", "new"]] * 2


def test_a_log_that_came_with_a_database_is_left_alone(tmp_path: Path, engines: list[Engine]) -> None:
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.executescript("PRAGMA journal_mode=WAL; CREATE TABLE words (word TEXT);")
        connection.execute("INSERT INTO words VALUES ('logged')")
        connection.commit()
        copies = {end: (tmp_path / f"other.db{end}").read_bytes() for end in ("-wal", "")}
    for end in ("-wal", "-shm", ""):
        (tmp_path / f"words.db{end}").unlink()
    for end, content in copies.items():
        (tmp_path / f"words.db{end}").write_bytes(content)
    assert [read(engine) for engine in engines] == [["logged"]] * 2
