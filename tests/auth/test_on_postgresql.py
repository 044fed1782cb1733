"""The auth room on PostgreSQL: what other files show on SQLite, shown again where the store is a server.

Apart because it needs a server; ``tests/conftest.py`` starts one where it can. The surprising thing: the tests are
those of the other files, run again.
"""

from __future__ import annotations

from collections.abc import Callable

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
    test_refresh.test_refreshes_side_by_side_all_get_a_token_and_none_after_the_revocation,
    test_jwt_bearer.test_an_assertion_without_a_key_id_is_found_by_its_issuer,
    test_guard.test_when_cloudstack_refuses_the_key_its_tokens_die_for_good,
    test_guard.test_accounts_of_one_name_in_two_domains_never_share_a_project_id,
    test_limiter.test_a_key_may_fail_only_so_often,
    test_limiter.test_five_hundred_right_requests_in_a_row_pass,
    test_credentials.test_after_resealing_the_old_sealing_key_may_go,
    test_console.test_logins_are_listed_and_ended_one_by_one,
)


@pytest.fixture
def database_url(postgresql: str) -> str:
    """That database, empty."""
    engine = create_engine(postgresql)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return postgresql


@pytest.mark.parametrize("shown", SHOWN, ids=lambda function: function.__name__.removeprefix("test_"))
def test_on_postgresql_too(room: Room, shown: Callable[[Room], None]) -> None:
    shown(room)


def test_migrations_make_the_same_tables_there(room: Room) -> None:
    assert db.engine.dialect.name == "postgresql"
    assert set(inspect(db.engine).get_table_names()) == set(Model.metadata.tables) | {"alembic_version"}
