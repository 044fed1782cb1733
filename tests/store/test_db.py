"""The connection to the store."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError

from gstack.store.credentials import ProjectId
from gstack.store.db import own_session
from gstack.store.migrate import upgrade_database


def test_what_is_written_stands_in_no_error(store_app: Flask) -> None:
    upgrade_database(store_app)
    with store_app.app_context(), own_session() as session:
        for _ in range(2):
            session.add(ProjectId(id="what-is-written", owner="somebody"))
        with pytest.raises(IntegrityError) as caught:
            session.commit()
    assert "what-is-written" not in str(caught.value) and "project_id" in str(caught.value)
