"""What is held of the overlay on PostgreSQL, where two transactions may be about to write at the same time.

Apart because it needs a server; on SQLite whoever writes is alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import OperationalError

from gstack.settings import Settings
from gstack.store import identity, overlay
from gstack.store.db import db, own_session
from tests.store.stores import overlaid


@pytest.fixture(autouse=True)
def context(postgresql: str, tmp_path: Path) -> Iterator[None]:
    engine = create_engine(postgresql)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    with overlaid(Settings({"PATH": str(tmp_path), "DATABASE_URL": postgresql})):
        yield


def test_what_is_held_nobody_else_may_change_until_the_transaction_ends() -> None:
    overlay.write("targetPools", "pool", "p", {"a": 1})
    db.session.commit()
    taken = select(overlay.Overlay.kind).with_for_update(nowait=True)
    assert overlay.hold("targetPools", "pool")
    with own_session() as other, pytest.raises(OperationalError):
        other.scalars(taken).all()
    db.session.commit()
    with own_session() as other:
        assert other.scalars(taken).all() == ["targetPools"]


def test_a_store_keeps_its_identity() -> None:
    assert identity.own() == identity.own() == identity.known()
