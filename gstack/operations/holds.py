"""Requests that wait for an operation: a bounded number of them, and one look at the database for all.

Apart because this is the one place where a web thread sleeps. The surprising thing: whoever finds no free
slot is not queued but turned away at once; a client that polls is better served than one that holds the
last thread.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Collection
from pathlib import Path

import structlog

from gstack.operations import bells

log = structlog.get_logger(__name__)

# What another host finished rings no bell here.
POLL_SECONDS = 0.2
AFTER_AN_ERROR_SECONDS = 1.0


class Holds:
    """The waiting requests of one process. ``done(names)`` says which of the named operations are DONE; ``folder`` is
    PATH, where bells hang.

    One thread looks whenever an operation somewhere is done, and every ``poll_seconds`` while anybody waits.
    """

    def __init__(
        self,
        slots: int,
        done: Callable[[Collection[str]], Collection[str]],
        folder: Path,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._slots = threading.BoundedSemaphore(max(1, slots))
        self._done = done
        self._folder = folder
        self._poll_seconds = poll_seconds
        self._waiting: dict[str, list[threading.Event]] = {}
        self._lock = threading.Lock()
        self._bell: bells.Bell | None = None
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
        except OSError as error:  # no file is left for a bell: the operation goes on, and its client comes again
            log.warning("holds.no_bell", why=error.strerror)
            return False
        finally:
            self._strike(name, event)
            self._slots.release()

    def close(self) -> None:
        """Let everybody go, now and from now on, and end the thread."""
        with self._lock:
            self._closed.set()
            for event in (event for events in self._waiting.values() for event in events):
                event.set()
            watcher, bell = self._watcher, self._bell
            self._bell = None
        if watcher is not None and bell is not None:
            bell.ring()
            watcher.join(timeout=5)
            if not watcher.is_alive():
                bell.close()

    def _enlist(self, name: str, event: threading.Event) -> None:
        with self._lock:
            if self._closed.is_set():
                event.set()
                return
            self._waiting.setdefault(name, []).append(event)
            if self._bell is None:
                self._bell = bells.Bell(self._folder, bells.DONE + secrets.token_hex(8))
                arguments = (self._bell,)
                self._watcher = threading.Thread(
                    target=self._watch, args=arguments, name="operations-watcher", daemon=True
                )
                self._watcher.start()
            self._bell.ring()  # whom nobody looked for so far may be done already

    def _strike(self, name: str, event: threading.Event) -> None:
        with self._lock:
            events = self._waiting.get(name, [])
            if event in events:
                events.remove(event)
            if not events:
                self._waiting.pop(name, None)

    def _watch(self, bell: bells.Bell) -> None:
        while not self._closed.is_set():
            bell.wait(self._poll_seconds if self._waiting else None)
            with self._lock:
                names = tuple(self._waiting)
            try:
                finished = self._done(names) if names else ()
            except Exception as error:
                log.warning("holds.unreachable", error=type(error).__name__)
                self._closed.wait(AFTER_AN_ERROR_SECONDS)
                continue
            with self._lock:
                for event in (event for name in finished for event in self._waiting.get(name, ())):
                    event.set()
