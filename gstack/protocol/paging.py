"""``maxResults``, ``pageToken``, ``nextPageToken``: where a page ends, and how the next one finds its place.

Apart from the listing because tokens need a key. A token says after which sort key to go on, never a row number: rows
that come and go between two pages make no other row appear twice or not at all. What a key alone cannot stand is a row
whose name changes on the way, so a token also says which rows are left, and in which order: by itself where they are
few, else by the name under which the store keeps them for ten minutes. The surprising thing: a token is sealed with the
query it belongs to, so it can be neither made up nor carried to another list, filter or caller.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from flask import Flask, current_app

from gstack.errors import GceError, invalid
from gstack.protocol.ordering import Key

LIFE = 24 * 60 * 60  # seconds that a token is good for
DEFAULT_SIZE = 500
LARGEST_SIZE = 500  # Google's discovery document: "0 to 500, inclusive"
CARRIED = 100  # rows that a token names by itself: it has 1,600 characters then, and servers take URLs of 4,000
MOST_KEPT = 50_000  # rows that the store keeps of one list, 8 bytes each; a longer one goes by its key alone
SNAPSHOT_LIFE = 600  # seconds; afterwards the key alone says where to go on
DIGEST = 8  # bytes by which a row is known: two of 50,000 are taken for each other once in ten billion lists
SHOWN = 64  # characters of a bad token that the error repeats
FORM = 3  # of the content; to be raised when keys change their shape
EXTENSION = "gstack.paging"

# A client may change these from one page to the next: they do not choose or order the rows.
FREE = frozenset(
    [
        "pageToken",
        "maxResults",
        "fields",
        "alt",
        "prettyPrint",
        "key",
        "quotaUser",
        "userIp",
        "callback",
        "access_token",
        "oauth_token",
        "returnPartialSuccess",
        "uploadType",
        "upload_protocol",
        "$alt",
        "$.xgafv",
    ]
)


# Asked for with every token: a key that is replaced while the gateway runs is replaced in all of its processes at once.
Keys = Callable[[], Sequence[bytes]]


class Snapshots(Protocol):
    """Where the order of long lists is kept: implemented by the store."""

    def keep(self, owner: str, content: bytes, seconds: int) -> str | None:
        """The name under which ``content`` is found for at least ``seconds``, unless ``owner``, a client, has many
        more kept after it; None where it could not be kept."""

    def read(self, name: str) -> bytes | None:
        """What was kept; None when its time is over."""


@dataclass(frozen=True)
class Mark:
    """Where a page ended: after ``after`` in the order. What is left then is ``left``, or number ``at`` and those
    behind it of ``snapshot``; with neither the key alone decides."""

    after: Key
    left: tuple[str, ...] = ()
    snapshot: str = ""
    at: int = 0


class Seal:
    """Seals page tokens; ``keys`` gives those of the moment (32 bytes each), of which the first seals and every one
    opens. ``snapshots``, where given, keeps long lists."""

    def __init__(self, keys: Keys, snapshots: Snapshots | None = None) -> None:
        self._keys = keys
        self.snapshots = snapshots

    def _fernet(self) -> MultiFernet:
        return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in self._keys()])

    def issue(self, query: str, mark: Mark, now: float | None = None) -> str:
        """The token that goes on at ``mark`` in ``query``, a :func:`query_digest`; ``now`` is Unix time."""
        left = packed(mark.left)
        content = {"form": FORM, "query": query, "after": mark.after, "snapshot": mark.snapshot, "at": mark.at}
        content["left"] = base64.b85encode(left).decode()
        moment = int(time.time() if now is None else now)
        return self._fernet().encrypt_at_time(orjson.dumps(content), moment).decode()

    def redeem(self, query: str, token: str, now: float | None = None) -> Mark:
        """Where ``token`` goes on. Raises GceError (400) unless issued for ``query`` today."""
        moment = int(time.time() if now is None else now)
        try:
            text = self._fernet().decrypt_at_time(token.encode(), ttl=LIFE, current_time=moment)
        except (InvalidToken, UnicodeEncodeError):
            raise refused(token) from None
        content = orjson.loads(text)
        if content["form"] != FORM or content["query"] != query:
            raise refused(token)
        left = unpacked(base64.b85decode(content["left"]))
        return Mark(tuple(content["after"]), left, content["snapshot"], content["at"])

    def __repr__(self) -> str:
        return "<Seal>"


def digest(scope: str, identity: str) -> str:
    """What one row is known by while page tokens go round, whatever becomes of its name: hexadecimal digits."""
    return hashlib.blake2b(f"{scope}\0{identity}".encode("utf-8", "surrogatepass"), digest_size=DIGEST).hexdigest()


def packed(digests: Iterable[str]) -> bytes:
    """The order of a list, in few bytes."""
    return bytes.fromhex("".join(digests))


def unpacked(content: bytes) -> tuple[str, ...]:
    """The opposite of :func:`packed`."""
    text = content.hex()
    return tuple(text[start : start + 2 * DIGEST] for start in range(0, len(text), 2 * DIGEST))


def refused(token: str) -> GceError:
    """The 400 for a token that does not lead anywhere in this list."""
    shown = token if len(token) <= SHOWN else token[:SHOWN] + "..."
    return invalid("pageToken", shown, "It belongs to another list or has expired: start with the first page.")


def init_app(app: Flask, keys: Keys, snapshots: Snapshots | None = None) -> None:
    """Make ``keys`` (the same in all processes) what lists of ``app`` seal their tokens with, and ``snapshots`` what
    keeps long ones."""
    app.extensions[EXTENSION] = Seal(keys, snapshots)


def current_seal() -> Seal:
    """The seal of the application that serves the request."""
    seal: Seal = current_app.extensions[EXTENSION]
    return seal


def query_digest(method: str, params: Mapping[str, Any], caller: str) -> str:
    """What a token is bound to: method, caller, and every parameter that chooses or orders rows."""
    chosen = sorted((name, str(value)) for name, value in params.items() if name not in FREE and value)
    return base64.b85encode(hashlib.sha256(orjson.dumps([method, caller, chosen])).digest()).decode()


def page_size(value: int | str | None) -> int:
    """Rows on a page. Raises GceError (400) outside of 0 to 500.

    Zero is the default, as in https://google.aip.dev/158: empty pages with tokens would keep clients
    running for ever.
    """
    if value is None or value == "":
        return DEFAULT_SIZE
    try:
        size = int(value)
    except ValueError:
        size = -1
    if not 0 <= size <= LARGEST_SIZE:
        raise invalid("maxResults", value, f"Must be an integer from 0 to {LARGEST_SIZE}.")
    return size or DEFAULT_SIZE
