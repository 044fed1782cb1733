"""Waiting for what another thread or process does.

Apart because tests of every room wait alike. The surprising thing: nothing is measured; what is true at once costs no
time, and only what never happens fails.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest


def until(happened: Callable[[], Any], seconds: float = 60, what: str = "it") -> Any:
    """Whatever a function gives as soon as it is true; fails the test after ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = happened()
        if found:
            return found
        time.sleep(0.01)
    pytest.fail(f"{what} did not happen within {seconds} s")
