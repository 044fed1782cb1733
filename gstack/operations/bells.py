"""Bells between the processes of one host, so that none of them has to ask the database again and again: a web worker
rings when it has stored an operation, the operations worker when one is DONE.

Apart because both sides ring and both listen. The surprising thing: a bell that nobody hears is no fault. Whoever
listens also looks by itself from time to time, and finds what other hosts have done, or who could not ring.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import select
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

FOLDER = "bells"
WORK = "work"  # the operations worker listens there: a host has one
DONE = "done-"  # and a web worker, while it has requests that wait, at a name that begins so
# For so long after the last ring or operation the next one is looked for in short intervals.
RESTLESS_SECONDS = 1.0
LARGEST = 65_536  # bytes that a pipe of Linux holds: all rings that nobody heard are one


class Bell:
    """A named pipe below ``folder`` (PATH) at which this process listens."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / FOLDER / name
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            # To write as well: a pipe without writers is at its end, and cannot be waited for.
            self._pipe = self._rope = self._hung()
        except OSError as error:  # not every file system has pipes
            log.warning("bell.unheard", why=error.strerror, instead="looks at the database")
            self._pipe, self._rope = os.pipe()
            os.set_blocking(self._rope, False)
        self._heard = select.poll()
        self._heard.register(self._pipe, select.POLLIN)

    def _hung(self) -> int:
        made = self._path.with_name(f".{secrets.token_hex(8)}")
        os.mkfifo(made, 0o600)
        pipe = os.open(made, os.O_RDWR | os.O_NONBLOCK)
        made.replace(self._path)  # only now, as one that nobody has opened is taken away by ring_all
        return pipe

    def wait(self, seconds: float | None) -> bool:
        """Whether it rang within ``seconds`` (None: for ever), or since the last time. For one thread alone."""
        if not self._heard.poll(None if seconds is None else seconds * 1000):
            return False
        os.read(self._pipe, LARGEST)
        return True

    def ring(self) -> None:
        """Ring it from within."""
        with contextlib.suppress(BlockingIOError):  # it is full: it has rung
            os.write(self._rope, b"!")

    def close(self) -> None:
        """Take it away, when nobody waits any more."""
        self._path.unlink(missing_ok=True)
        for end in {self._pipe, self._rope}:
            os.close(end)


def ring(folder: Path, name: str) -> bool:
    """Ring a bell below ``folder`` (PATH); False where nobody listens."""
    try:
        pipe = os.open(folder / FOLDER / name, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        return error.errno not in (errno.ENXIO, errno.ENOENT)
    try:
        with contextlib.suppress(OSError):  # it is full, which is as good, or its listener has just gone
            os.write(pipe, b"!")
    finally:
        os.close(pipe)
    return True


def ring_all(folder: Path, start: str) -> None:
    """Ring every bell whose name begins with ``start``. Those of processes that were killed go."""
    for path in (folder / FOLDER).glob(f"{start}*"):
        if not ring(folder, path.name):
            path.unlink(missing_ok=True)


class Turns(threading.Event):
    """What DBOS's loop over a queue waits on between two looks: set, it ends the loop; a ring ends one wait.

    The wait is as long as the loop wants it while there is work (``busy``) or was a moment ago, as one operation's
    end may be what another one waits for; else it takes ``idle_seconds``.
    """

    def __init__(
        self, bell: Bell, busy: Callable[[], bool], idle_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._clock = clock
        self._bell = bell
        self._busy = busy
        self._idle_seconds = idle_seconds
        self._calm_at = self._clock() + RESTLESS_SECONDS  # what was stored before we came

    def wait(self, timeout: float | None = None) -> bool:
        """Until the next look; whether the loop is to end."""
        if not self.is_set():
            restless = self._busy() or self._clock() < self._calm_at
            rang = self._bell.wait(timeout if restless else max(timeout or 0.0, self._idle_seconds))
            if rang or self._busy():
                self._calm_at = self._clock() + RESTLESS_SECONDS
        return self.is_set()

    def set(self) -> None:
        """End the loop."""
        super().set()
        self._bell.ring()
