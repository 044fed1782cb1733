"""The auth room on PostgreSQL: what other files show on SQLite, shown again where the store is a server.

Apart because it starts one, where PostgreSQL is installed (or empties and uses the database that GSTACK_TEST_POSTGRESQL
names). The surprising thing: PostgreSQL refuses to run as root, so there it runs as another user, in a folder outside
of pytest's own, which no other user may enter.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text

from gstack.store.db import Model, db

from . import test_consent, test_console, test_credentials, test_guard, test_jwt_bearer, test_limiter
from . import test_refresh_tokens as test_refresh
from .conftest import Room

SHOWN: tuple[Callable[[Room], None], ...] = (
    test_consent.test_a_code_is_good_once,
    test_consent.test_a_code_is_good_for_a_minute,
    test_consent.test_of_many_who_redeem_a_code_at_once_one_gets_a_token,
    test_consent.test_a_code_of_a_credential_that_was_revoked_meanwhile_is_refused,
    test_refresh.test_a_refresh_token_gets_further_access_tokens_and_stays_the_same,
    test_refresh.test_it_dies_after_ninety_days_without_use,
    test_refresh.test_it_dies_with_its_credential_and_with_the_key_pair,
    test_refresh.test_revoking_a_refresh_token_ends_what_came_from_it_and_nothing_else,
    test_refresh.test_revoking_an_access_token_ends_its_refresh_token,
    test_jwt_bearer.test_an_assertion_without_a_key_id_is_found_by_its_issuer,
    test_guard.test_when_cloudstack_refuses_the_key_its_tokens_die_for_good,
    test_guard.test_accounts_of_one_name_in_two_domains_never_share_a_project_id,
    test_limiter.test_a_key_may_fail_only_so_often,
    test_limiter.test_five_hundred_right_requests_in_a_row_pass,
    test_credentials.test_after_resealing_the_old_sealing_key_may_go,
    test_console.test_logins_are_listed_and_ended_one_by_one,
)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a PostgreSQL database that may be emptied."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (the extra gstack[postgresql])")
    given = os.environ.get("GSTACK_TEST_POSTGRESQL", "")
    if given:
        yield given
        return
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed here, and GSTACK_TEST_POSTGRESQL names no database")
    folder = Path(tempfile.mkdtemp(prefix="gstack-pg-"))
    options: dict[str, Any] = {"check": True, "timeout": 120, "cwd": folder, "capture_output": True}
    options["env"] = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")  # every package of the server makes that user
        options["user"] = "postgres"
    control = (programs / "pg_ctl", "-D", folder / "data", "-w")
    try:
        words = ("-U", "gstack", "-A", "trust", "-E", "UTF8", "-N")
        subprocess.run((programs / "initdb", "-D", folder / "data", *words), **options)
        here = f"-k {folder} -c listen_addresses= -c fsync=off"
        subprocess.run((*control, "-o", here, "-l", folder / "log", "start"), **options)
        yield f"postgresql+psycopg://gstack@/postgres?host={folder}"
        subprocess.run((*control, "-m", "fast", "stop"), **options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path | None:
    found = shutil.which("initdb")
    places = [Path(found).resolve()] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return places[-1].parent if places else None


@pytest.fixture
def database_url(server: str) -> str:
    """That database, empty."""
    engine = create_engine(server)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return server


@pytest.mark.parametrize("shown", SHOWN, ids=lambda function: function.__name__.removeprefix("test_"))
def test_on_postgresql_too(room: Room, shown: Callable[[Room], None]) -> None:
    shown(room)


def test_migrations_make_the_same_tables_there(room: Room) -> None:
    assert db.engine.dialect.name == "postgresql"
    assert set(inspect(db.engine).get_table_names()) == set(Model.metadata.tables) | {"alembic_version"}
