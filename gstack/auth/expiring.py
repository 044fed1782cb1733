"""A small dictionary whose entries die by themselves: what one process may believe for a few seconds.

Apart because the guard and the projects keep such beliefs. The surprising thing: when it is full it forgets
all. Filling it takes thousands of valid credentials, and forgetting costs one query each.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Expiring(Generic[Value]):
    """Text to value, for ``seconds`` at the most; safe between threads."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic, most: int = 4096) -> None:
        self._seconds = seconds
        self._clock = clock
        self._most = most
        self._entries: dict[str, tuple[float, Value]] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> Value | None:
        """The value, or None when there is none or it has died."""
        entry = self._entries.get(key)
        return entry[1] if entry is not None and entry[0] > self._clock() else None

    def put(self, key: str, value: Value) -> None:
        """Keep ``value`` from now on."""
        with self._lock:
            if len(self._entries) >= self._most:
                self._entries.clear()
            self._entries[key] = (self._clock() + self._seconds, value)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
