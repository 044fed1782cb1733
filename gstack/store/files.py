"""The files of a SQLite database: made for their owner only, and watched, which SQLite does not do: it would go on in a
file that was deleted or replaced, or with another database's write-ahead log.

Apart from ``db`` because nothing here is about tables. The surprising thing: SQLite keeps what it knows of a database
once for all connections of a process, so that a new one beside an old one would read the new file by the old one's
index. When a file was taken away, all connections of a process have to close before the first one is opened again.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

import structlog

log = structlog.get_logger(__name__)

PRAGMAS = ("busy_timeout=30000", "foreign_keys=ON", "journal_mode=WAL", "synchronous=NORMAL")
REPLACED = "The database file was deleted or replaced."
# What a transaction under way may take to end, before who waits for it is told to come again.
LETTING_GO_SECONDS = 5.0

Numbers = tuple[int, ...]  # of the inodes of the database, its write-ahead log and that log's index; 0 for none


class Files:
    """Those of the database at ``path``, and how many connections this process has to it."""

    def __init__(self, path: Path) -> None:
        self._path = path = Path(os.path.realpath(path))  # beside which SQLite puts its own
        # SQLite's own files of a database: its write-ahead log, and that log's index.
        self._beside = [path.with_name(path.name + end) for end in ("-wal", "-shm")]
        self._all = [path, *self._beside]
        self._used: Numbers = ()
        self._open = 0
        self._replaced = False
        self._changed = threading.Condition()

    def now(self) -> Numbers:
        """What tells the files from others of the same names, as long as somebody has them open: the numbers of those
        that are gone and closed are given again at once."""
        return tuple(map(_number, self._all))

    @property
    def stale(self) -> bool:
        """Whether there are connections to files that are no longer there."""
        return self._open > 0 and self.now() != self._used

    @property
    def replaced(self) -> bool:
        """Whether files ever went that this process had connections to."""
        return self.stale or self._replaced

    def connect(self, opened: Callable[[], sqlite3.Connection]) -> tuple[sqlite3.Connection, Numbers]:
        """A connection fit for several processes, and the numbers of its files. Raises
        :class:`sqlite3.OperationalError` where they are replaced meanwhile, or connections to those before them do not
        close in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self.stale, LETTING_GO_SECONDS):
                raise sqlite3.OperationalError(REPLACED)
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with _alone(self._path.parent):
                    connection, numbers = self._connected(opened)
            except OSError as error:
                raise sqlite3.OperationalError(f"The database cannot be opened: {error.strerror}.") from error
            self._used = numbers
            self._open += 1
        return connection, numbers

    def _connected(self, opened: Callable[[], sqlite3.Connection]) -> tuple[sqlite3.Connection, Numbers]:
        number = self._made()
        connection = opened()
        try:
            logged = _prepare(connection)
            numbers = self.now()
            whole = all(numbers) or not logged
            if numbers[0] != number or not whole or (self._open and numbers != self._used):
                raise sqlite3.OperationalError(REPLACED)
        except BaseException:
            connection.close()
            raise
        return connection, numbers

    def close(self, connection: sqlite3.Connection, numbers: Numbers) -> None:
        """Close a connection to the files ``numbers``, as :meth:`connect` gave them."""
        with self._changed:
            self._open -= 1  # first: the last one to close takes SQLite's own files with it
            self._changed.notify_all()
            try:
                if numbers != self.now():
                    self._replaced = True
                    self._clear_away(numbers)
            except OSError as error:  # the folder may be gone as well
                log.warning("store.left_beside", why=error.strerror)
            finally:
                connection.close()

    def _clear_away(self, numbers: Numbers) -> None:
        """Take away what stayed of the files ``numbers`` beside a database that has replaced theirs: nothing in them
        says so, and SQLite would take them for that one's. As long as there is a connection to them, nobody else's have
        their numbers."""
        with _alone(self._path.parent):
            if _number(self._path) != numbers[0]:
                for file, number in zip(self._beside, numbers[1:], strict=True):
                    if _number(file) == number:
                        file.unlink(missing_ok=True)

    def make(self) -> None:
        """Make the database if it is not there."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(self._path.parent):
            self._made()

    def _made(self) -> int:
        if not _number(self._path):
            for file in self._beside:  # of a database that is gone
                file.unlink(missing_ok=True)
            self._make_private()
        try:
            status = self._path.stat()
        except FileNotFoundError:
            raise sqlite3.OperationalError(REPLACED) from None
        if stat.S_IMODE(status.st_mode) & 0o077:
            self._path.chmod(0o600)
        return status.st_ino

    def _make_private(self) -> None:
        # Closed before it has its name: closing any descriptor of a database drops all locks that the process has on
        # it, and SQLite elsewhere would delete the write-ahead log from under its connections
        # (sqlite.org/howtocorrupt.html, 2.2).
        made = self._path.with_name(f".{self._path.name}.{token_hex(8)}")
        os.close(os.open(made, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            os.link(made, self._path)
        except FileExistsError:  # somebody put one there
            pass
        except OSError:  # no file has two names here
            made.replace(self._path)
        made.unlink(missing_ok=True)


def _prepare(connection: sqlite3.Connection) -> bool:
    """Whether the database has a write-ahead log: not every file system can."""
    connection.isolation_level = "IMMEDIATE"
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.execute("SELECT 1 FROM sqlite_master").fetchall()  # the first look opens its other files
    (mode,) = cursor.execute("PRAGMA journal_mode").fetchone()
    cursor.close()
    return bool(mode == "wal")


def _number(path: Path) -> int:
    try:
        return path.stat().st_ino
    except (FileNotFoundError, NotADirectoryError):
        return 0


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While no other process makes, opens or takes away such files: whoever opens an index that nobody has makes it
    anew, and whoever opens one that others have takes it as it is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
