"""The application for servers other than our own: ``gunicorn bench.wsgi:app``."""

from __future__ import annotations

import os
from pathlib import Path

from gstack.app import create_app
from gstack.settings import load

app = create_app(load(Path(os.environ["GSTACK_BENCH_CONFIG"])))
