"""Writes docs/mapping.json: from which field of CloudStack each field that gstack shows comes.

``python tools/make_mapping.py``, then ``python tools/make_docs.py``. Apart from make_docs.py because it runs a gateway
and takes minutes: the test that holds the file against the code also writes it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEST = "tests/resources/test_mapping.py::test_the_mapping_is_found_out_and_written"

if __name__ == "__main__":
    command = [sys.executable, "-m", "pytest", "-q", TEST]
    sys.exit(subprocess.call(command, cwd=ROOT, env=os.environ | {"GSTACK_WRITE_PAGES": "1"}))  # noqa: S603 - our own test
