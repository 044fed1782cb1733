"""The places in which operations run: OPERATION_CONCURRENCY of them, of which no project may hold all.

Apart because it is pure. The surprising thing: an operation holds its place for minutes while CloudStack works; without
a bound sixteen slow deployments of one project would keep everybody else's firewall rules waiting.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Hashable


class Slots:
    """``places`` of them; three quarters at the most are one owner's, where there are four or more."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._most = places - places // 4
        self._held: Counter[Hashable] = Counter()
        self._changed = threading.Condition()

    def take(self, owner: Hashable, timeout: float | None = None) -> bool:
        """Wait for a place, ``timeout`` seconds at the most; whether there was one."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._free > 0 and self._held[owner] < self._most, timeout):
                return False
            self._free -= 1
            self._held[owner] += 1
            return True

    def give(self, owner: Hashable) -> None:
        """Give a place back."""
        with self._changed:
            self._free += 1
            self._held[owner] -= 1
            if not self._held[owner]:
                del self._held[owner]
            self._changed.notify_all()
