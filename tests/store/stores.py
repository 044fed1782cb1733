"""A store with tables and an overlay, for as long as a test lasts; which database it is in, its settings say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cryptography.fernet import Fernet
from flask import Flask

from gstack.settings import Settings
from gstack.store import overlay
from gstack.store.db import db, open_store
from gstack.store.migrate import load_models
from gstack.store.sealing import Sealer


@contextmanager
def overlaid(settings: Settings) -> Iterator[None]:
    """Run within an application whose store has the overlay's table."""
    app = Flask("test")
    open_store(app, settings)
    load_models()
    overlay.init_app(app, Sealer(keys=[Fernet.generate_key().decode()]))
    with app.app_context():
        db.create_all()
        yield
        db.session.remove()
        db.engine.dispose()
