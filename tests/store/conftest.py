"""An empty store in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from gstack.settings import Settings
from gstack.store.db import open_store


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings({"PATH": str(tmp_path / "gstack")})


@pytest.fixture
def store_app(settings: Settings) -> Flask:
    app = Flask("store")
    open_store(app, settings)
    return app
