"""Migrations: they make exactly the tables that the models describe, alone and side by side."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from flask import Flask

from gstack.settings import Settings
from gstack.store.db import Model, db, open_store, own_session
from gstack.store.migrate import MIGRATIONS, migrate, upgrade_database

UPGRADE = """
import sys
from flask import Flask
from gstack.settings import Settings
from gstack.store.db import open_store
from gstack.store.migrate import upgrade_database
app = Flask("x")
open_store(app, Settings({"PATH": sys.argv[1]}))
upgrade_database(app)
"""


def test_models_and_migrations_agree(store_app: Flask) -> None:
    upgrade_database(store_app)
    with store_app.app_context():
        command.check(migrate.get_config())
        found = set(sa.inspect(db.engine).get_table_names())
    assert found == set(Model.metadata.tables) | {"alembic_version"}


def test_unique_indexes_hold_only_where_they_should(store_app: Flask) -> None:
    upgrade_database(store_app)
    row = (
        "INSERT INTO credential (id, kind, name, key_hash, sealed_keys, account, account_id, domain_id, domain_path,"
        " user_id, user_name, user_email, created_at, verified_at, email, revoked_at)"
        " VALUES (:id, :kind, '', 'k', '', '', '', '', '', '', '', '', 0, 0, :email, :revoked)"
    )

    def add(id: str, kind: str, email: str | None, revoked: int | None) -> None:
        with own_session() as session:
            session.execute(sa.text(row), {"id": id, "kind": kind, "email": email, "revoked": revoked})
            session.commit()

    with store_app.app_context():
        add("1", "direct", None, None)
        add("2", "service-account", "a@p", 5)
        add("3", "service-account", "a@p", None)
        with pytest.raises(sa.exc.IntegrityError):
            add("4", "direct", None, None)
        with pytest.raises(sa.exc.IntegrityError):
            add("5", "service-account", "a@p", None)


def test_upgrading_twice_changes_nothing(store_app: Flask) -> None:
    upgrade_database(store_app)
    upgrade_database(store_app)
    with store_app.app_context():
        command.check(migrate.get_config())


def test_tables_of_others_in_the_database_are_left_alone(store_app: Flask) -> None:
    with store_app.app_context(), db.engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE workflow_status (id INTEGER)"))
    upgrade_database(store_app)
    with store_app.app_context():
        command.check(migrate.get_config())
        assert "workflow_status" in sa.inspect(db.engine).get_table_names()


def test_the_first_migration_can_be_undone(store_app: Flask) -> None:
    upgrade_database(store_app)
    with store_app.app_context():
        command.downgrade(migrate.get_config(), "base")
        assert sa.inspect(db.engine).get_table_names() == ["alembic_version"]


def test_flask_db_shows_where_a_store_is_and_that_nothing_is_missing(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "GSTACK_CONF_PATH": str(tmp_path)}
    said = []
    for words in ("upgrade", "check", "current"):
        argv = [sys.executable, "-m", "flask", "--app", "gstack.store.migrate", "db", words]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=True)
        said.append(done.stdout)
    newest = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    assert f"{newest} (head)" in said[2] and (tmp_path / "gstack.db").exists()


def test_a_database_of_a_later_gstack_is_refused_and_left_alone(store_app: Flask) -> None:
    upgrade_database(store_app)
    with store_app.app_context(), db.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(CommandError, match="9999"):
        upgrade_database(store_app)


def test_two_processes_may_upgrade_at_once(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    argv = [sys.executable, "-c", UPGRADE, str(tmp_path)]
    both = [subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()


def test_the_database_file_is_for_its_owner_only(settings: Settings) -> None:
    settings.folder.mkdir(parents=True)
    path = settings.folder / "gstack.db"
    path.touch(mode=0o644)
    path.chmod(0o644)
    app = Flask("private")
    open_store(app, settings)
    upgrade_database(app)
    with app.app_context(), own_session() as session:
        session.execute(sa.text("INSERT INTO project_id VALUES ('a', 'b')"))
        session.commit()
        modes = {file.name: file.stat().st_mode & 0o077 for file in settings.folder.glob("gstack.db*")}
    assert modes["gstack.db"] == 0 and modes["gstack.db-wal"] == 0
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_failed_write_waits_for_its_turn_instead_of_failing(store_app: Flask) -> None:
    with store_app.app_context(), db.engine.connect() as connection:
        assert connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(sa.text("PRAGMA busy_timeout")) >= 10_000
        assert connection.scalar(sa.text("PRAGMA foreign_keys")) == 1
