"""Requests that wait for an operation: a bounded number of them, and one look at the database for all.

Apart because this is the one place where a web thread sleeps. The surprising thing: whoever finds no free
slot is not queued but turned away at once; a client that polls is better served than one that holds the
last thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

import structlog

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.05
AFTER_AN_ERROR_SECONDS = 1.0


class Holds:
    """The waiting requests of one process. ``done(names)`` says which of the named operations are DONE.

    One thread looks every ``poll_seconds`` while anybody waits, and sleeps while nobody does.
    """

    def __init__(
        self,
        slots: int,
        done: Callable[[Collection[str]], Collection[str]],
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._slots = threading.BoundedSemaphore(max(1, slots))
        self._done = done
        self._poll_seconds = poll_seconds
        self._waiting: dict[str, list[threading.Event]] = {}
        self._changed = threading.Condition()
        self._watcher: threading.Thread | None = None
        self._closed = threading.Event()

    def until_done(self, name: str, seconds: float) -> bool:
        """Wait until the operation is DONE, ``seconds`` have passed or there is no slot; whether it is DONE
        for sure.
        """
        if seconds <= 0 or self._closed.is_set() or not self._slots.acquire(blocking=False):
            return False
        event = threading.Event()
        try:
            self._enlist(name, event)
            return event.wait(seconds) and not self._closed.is_set()
        finally:
            self._strike(name, event)
            self._slots.release()

    def close(self) -> None:
        """Let everybody go, now and from now on, and end the thread."""
        self._closed.set()
        with self._changed:
            for event in (event for events in self._waiting.values() for event in events):
                event.set()
            self._changed.notify_all()
            watcher = self._watcher
        if watcher is not None:
            watcher.join(timeout=5)

    def _enlist(self, name: str, event: threading.Event) -> None:
        with self._changed:
            self._waiting.setdefault(name, []).append(event)
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="operations-watcher", daemon=True)
                self._watcher.start()
            self._changed.notify_all()

    def _strike(self, name: str, event: threading.Event) -> None:
        with self._changed:
            events = self._waiting.get(name, [])
            if event in events:
                events.remove(event)
            if not events:
                self._waiting.pop(name, None)

    def _watch(self) -> None:
        while not self._closed.is_set():
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed.is_set())
                names = tuple(self._waiting)
            pause = self._poll_seconds
            try:
                finished = self._done(names) if names else ()
            except Exception as error:
                log.warning("holds.unreachable", error=type(error).__name__)
                finished, pause = (), AFTER_AN_ERROR_SECONDS
            with self._changed:
                for event in (event for name in finished for event in self._waiting.get(name, ())):
                    event.set()
            self._closed.wait(pause)
