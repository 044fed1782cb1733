"""Writes docs/gcloud.md: which gcloud commands work here, found by asking what recorded ones asked.

``python tools/make_gcloud.py``. Apart from make_docs.py because it needs a gateway: the test that compares the page
with its replay also writes it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEST = "tests/protocol/test_gcloud_replay.py"

if __name__ == "__main__":
    command = [sys.executable, "-m", "pytest", "-q", TEST]
    sys.exit(subprocess.call(command, cwd=ROOT, env=os.environ | {"GSTACK_WRITE_PAGES": "1"}))  # noqa: S603 - our own test
