"""Writes docs/witness.md: how far the embedded CloudStack answers what a real one was recorded to answer.

``python tools/make_witness.py``, or ``make witness``. Apart from make_docs.py because it reads recordings, which
nothing that ships does: the test that compares the page with its replay also writes it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEST = "tests/simulator/test_witness.py"

if __name__ == "__main__":
    command = [sys.executable, "-m", "pytest", "-q", TEST]
    sys.exit(subprocess.call(command, cwd=ROOT, env=os.environ | {"GSTACK_WRITE_PAGES": "1"}))  # noqa: S603 - our own test
