"""The connection to the store."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.exc import IntegrityError, OperationalError

from gstack.settings import Settings
from gstack.store import files
from gstack.store.credentials import ProjectId
from gstack.store.db import db, let_go_of_replaced, own_session, prepare_engine, store_replaced
from gstack.store.migrate import upgrade_database
from tests.waiting import until


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
    made = [create_engine(f"sqlite:///{tmp_path / 'words.db'}") for _ in range(2)]
    for engine in made:
        prepare_engine(engine)
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


@pytest.mark.parametrize("busy", [True, False], ids=["in use", "idle"])
def test_a_backup_is_not_read_by_the_log_of_what_it_replaced_when_all_have_let_go(
    tmp_path: Path, engines: list[Engine], busy: bool
) -> None:
    backup = tmp_path / "backup.db"
    with closing(sqlite3.connect(backup)) as connection:
        connection.executescript("CREATE TABLE words (word TEXT); INSERT INTO words VALUES ('kept');")
    engine, other = engines
    other.dispose()
    with engine.connect() if busy else nullcontext():
        backup.replace(tmp_path / "words.db")
    engine.pool.dispose()
    assert read(engine) == ["kept"]


def test_a_database_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "words.db").symlink_to(tmp_path / "elsewhere" / "words.db")
    engine = create_engine(f"sqlite:///{tmp_path / 'words.db'}")
    prepare_engine(engine)
    write(engine, "word")
    assert read(engine) == ["word"] and (tmp_path / "words.db").is_symlink()


def test_a_folder_that_cannot_be_used_is_an_error_of_the_database(tmp_path: Path) -> None:
    (tmp_path / "folder").touch()
    engine = create_engine(f"sqlite:///{tmp_path / 'folder' / 'words.db'}")
    prepare_engine(engine)
    with pytest.raises(OperationalError, match="cannot be opened"):
        engine.connect()


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


def test_what_is_read_while_the_database_is_taken_away_is_read_to_its_end(
    tmp_path: Path, engines: list[Engine]
) -> None:
    with engines[0].connect() as connection:
        words = connection.execute(text("SELECT word FROM words"))
        for file in tmp_path.glob("words.db*"):
            file.unlink()
        write(engines[1], "new")
        assert list(words.scalars()) == ["old", "old"]
    assert [read(engine) for engine in engines] == [["new"]] * 2


def test_a_connection_beside_one_to_a_log_that_was_deleted_is_refused(
    tmp_path: Path, engines: list[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LETTING_GO_SECONDS", 0.0)
    engine, other = engines
    other.dispose()
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        for end in ("-wal", "-shm"):
            (tmp_path / f"words.db{end}").unlink()
        with pytest.raises(OperationalError, match="deleted or replaced"):
            engine.connect()
    write(engine, "new")
    with closing(sqlite3.connect(tmp_path / "words.db")) as another:
        assert ("new",) in another.execute("SELECT word FROM words").fetchall()


def test_connections_that_nobody_uses_let_go_of_a_log_that_was_deleted(tmp_path: Path, engines: list[Engine]) -> None:
    engine, other = engines
    other.dispose()
    with engine.connect(), engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    for end in ("-shm", "-wal"):
        (tmp_path / f"words.db{end}").unlink()
    write(engine, "new")
    with closing(sqlite3.connect(tmp_path / "words.db")) as another:
        assert ("new",) in another.execute("SELECT word FROM words").fetchall()


def test_who_connects_waits_until_connections_to_what_was_deleted_are_given_back(
    tmp_path: Path, engines: list[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LETTING_GO_SECONDS", 30.0)
    engine, other = engines
    other.dispose()
    busy = engine.connect()
    for file in tmp_path.glob("words.db*"):
        file.unlink()
    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write, engine, "new")
        until(lambda: engine.pool.checkedout() == 2, what="a second connection")
        busy.close()
        writing.result()
    assert read(engine) == ["new"]


def test_a_process_that_makes_the_database_keeps_the_locks_that_it_takes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "words.db"
    with closing(sqlite3.connect(":memory:")) as locked:
        named = os.link

        def lock_at_once(made: Path, name: Path) -> None:
            named(made, name)
            locked.execute("ATTACH ? AS words", (str(path),))
            locked.execute("BEGIN EXCLUSIVE")

        monkeypatch.setattr(os, "link", lock_at_once)
        files.Files(path).make()
        assert locked.in_transaction
        script = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN EXCLUSIVE')"
        done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=False)
        assert "database is locked" in done.stderr


def test_an_idle_process_lets_go_of_files_that_are_replaced(store_app: Flask, settings: Settings) -> None:
    upgrade_database(store_app)
    with store_app.app_context():
        let_go_of_replaced(store_app)
        assert db.engine.pool.checkedin() > 0
        settings.folder.joinpath("gstack.db").unlink()
        let_go_of_replaced(store_app)
        assert db.engine.pool.checkedin() == 0


def test_a_database_that_got_the_number_of_the_one_before_counts_as_replaced(
    store_app: Flask, settings: Settings
) -> None:
    upgrade_database(store_app)
    assert not store_replaced(store_app)
    for file in settings.folder.glob("gstack.db*"):
        file.unlink()
    with store_app.app_context(), db.engine.connect() as connection:
        assert inspect(connection).get_table_names() == []
    assert store_replaced(store_app)
