"""Secrets at rest: sealed with keys that lie outside the database.

Apart from the models, because operations seal their plans with it too. ``SECRET_KEY_FILE`` (or, where it is set, the
environment variable GSTACK_SECRET_KEYS) holds one Fernet key a line: the first one seals, every one opens, so a key is
replaced by putting a new one on top, resealing, and taking the old one away. Two surprising things: a running process
takes up a changed file by itself, so keys are replaced without a restart; and a sealed value cannot be searched for,
so :meth:`Sealer.indexes` gives keyed hashes, one for each key of the file, of which the first is the one to store.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
import threading
from collections.abc import Sequence
from pathlib import Path

import structlog
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from gstack.settings import Settings, SettingsError

log = structlog.get_logger(__name__)

ENVIRONMENT = "GSTACK_SECRET_KEYS"


class Unsealable(Exception):
    """A sealed value that none of the keys opens: another installation's, damaged, or its key was taken
    away."""


class Sealer:
    """Seals and opens bytes. Made from the settings, or from keys given as base64 text (tests)."""

    def __init__(self, settings: Settings | None = None, *, keys: Sequence[str] = ()) -> None:
        chosen = tuple(keys)
        self._path: Path | None = None
        self._changed = (0, 0)
        self._refreshing = threading.Lock()
        if settings is not None:
            self._path = None if ENVIRONMENT in os.environ else key_file(settings)
            self._changed = _changed(self._path)  # before it is read: what changes meanwhile is read again
            chosen = keys_of(settings)
        if not chosen:
            raise SettingsError("There is no key to seal secrets with. Make one with gstack-configure.")
        self._take(chosen)

    def _take(self, keys: Sequence[str]) -> None:
        self._keys = tuple(key.encode() for key in keys)
        self._fernet = MultiFernet([Fernet(key) for key in self._keys])

    def _refresh(self) -> None:
        """Take up a changed file; one that cannot be read leaves the keys as they are."""
        if self._path is None or _changed(self._path) == self._changed:
            return
        with self._refreshing:  # two that read at once could leave the older keys
            changed = _changed(self._path)
            if changed == self._changed:
                return
            try:
                self._take(read_keys(self._path))
            except SettingsError as error:
                log.error("sealing.keys_unusable", why=str(error), kept="those that were read before")
            self._changed = changed  # last: another thread goes by the keys as soon as it sees this

    def seal(self, value: bytes) -> str:
        """Text that only :meth:`open` turns back; two seals of one value differ."""
        self._refresh()
        return self._fernet.encrypt(value).decode()

    def open(self, sealed: str) -> bytes:
        """What was sealed. Raises :class:`Unsealable`."""
        self._refresh()
        try:
            return self._fernet.decrypt(sealed.encode())
        except (InvalidToken, UnicodeEncodeError):
            raise Unsealable("a sealed value cannot be opened with the keys of this installation") from None

    def rotate(self, sealed: str) -> str:
        """The same value under the first key. Raises :class:`Unsealable`."""
        return self.seal(self.open(sealed))

    def indexes(self, label: str, value: str) -> tuple[str, ...]:
        """Keyed hashes to find ``value`` by (64 hexadecimal digits each): store the first, look for all."""
        self._refresh()
        message = f"{label}\0{value}".encode()
        return tuple(_digest(_digest(key, b"gstack index"), message).hex() for key in self._keys)

    def derive(self, purpose: str) -> tuple[bytes, ...]:
        """32 bytes of key for one purpose (page tokens and the like) from each key of the file: the first one signs,
        every one verifies. Whoever keeps them keeps them for one use, or processes of different age disagree."""
        self._refresh()
        return tuple(_digest(key, f"gstack derive\0{purpose}".encode()) for key in self._keys)

    def __repr__(self) -> str:
        return f"<Sealer with {len(self._keys)} keys>"


def _digest(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def key_file(settings: Settings) -> Path:
    """Where the keys of this installation are."""
    return settings.file("SECRET_KEY_FILE", "secret.keys")


def keys_of(settings: Settings) -> tuple[str, ...]:
    """The keys of this installation: the environment's, else the file's. Raises :class:`SettingsError`."""
    if ENVIRONMENT in os.environ:
        return _checked(os.environ[ENVIRONMENT].replace(",", "\n"), ENVIRONMENT)
    return read_keys(key_file(settings))


def _changed(path: Path | None) -> tuple[int, int]:
    try:
        status = path.stat() if path is not None else None
    except OSError:
        status = None
    return (status.st_mtime_ns, status.st_ino) if status is not None else (0, 0)


def read_keys(path: Path) -> tuple[str, ...]:
    """The keys of a file, first one first. Raises :class:`SettingsError` if the file is missing, may be read
    or written by others, or holds anything but keys, empty lines and ``#`` comments."""
    try:
        status = path.stat()
        text = path.read_text(encoding="ascii")
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}. Make it with gstack-configure.") from error
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is no key file.") from None
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise SettingsError(f"{path} can be reached by others. Run: chmod 600 {path}")
    if status.st_uid not in (os.getuid(), 0):
        raise SettingsError(f"{path} belongs to another user.")
    return _checked(text, str(path))


def _checked(text: str, name: str) -> tuple[str, ...]:
    keys = tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))
    for number, key in enumerate(keys, 1):
        try:
            Fernet(key)
        except ValueError:
            raise SettingsError(f"{name}: key {number} is not a Fernet key.") from None
    if not keys:
        raise SettingsError(f"{name} holds no key. Make one with gstack-configure.")
    return keys


def ensure_keys(settings: Settings) -> bool:
    """Make the key file with one new key, 0600. Does nothing and answers False if it is already there, or if the
    keys come from the environment."""
    if ENVIRONMENT in os.environ:
        return False
    path = key_file(settings)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w") as file:
        file.write(Fernet.generate_key().decode() + "\n")
    return True


def add_key(settings: Settings) -> None:
    """Put a new key on top of the file: from now on it seals, and the older ones still open."""
    path = _own_file(settings)
    _replace(path, (Fernet.generate_key().decode(), *read_keys(path)))


def drop_older_keys(settings: Settings) -> int:
    """Keep the first key alone; what the others sealed and nobody sealed again is lost. Returns how many went."""
    path = _own_file(settings)
    first, *older = read_keys(path)
    _replace(path, (first,))
    return len(older)


def _own_file(settings: Settings) -> Path:
    if ENVIRONMENT in os.environ:
        raise SettingsError(f"The keys come from {ENVIRONMENT}: change them there, then run gstack credentials reseal.")
    return key_file(settings)


def _replace(path: Path, keys: Sequence[str]) -> None:
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("\n".join(keys) + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
