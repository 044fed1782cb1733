"""``maxResults``, ``pageToken``, ``nextPageToken``: where a page ends, and how the next one finds its place.

Apart from the listing because tokens need a key. A token says after which sort key to go on, never a row
number: rows that come and go between two pages make no other row appear twice or not at all. The surprising
thing: it is sealed with the query it belongs to, so it can be neither made up nor carried to another list,
filter or caller.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping
from typing import Any

import orjson
from cryptography.fernet import Fernet, InvalidToken
from flask import Flask, current_app

from gstack.errors import GceError, invalid
from gstack.protocol.ordering import Key

LIFE = 24 * 60 * 60  # seconds that a token is good for
DEFAULT_SIZE = 500
LARGEST_SIZE = 500  # Google's discovery document: "0 to 500, inclusive"
SHOWN = 64  # characters of a bad token that the error repeats
FORM = 1  # of the content; to be raised when keys change their shape
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


class Seal:
    """Seals page tokens with 32 bytes of key."""

    def __init__(self, key: bytes) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def issue(self, query: str, key: Key, now: float | None = None) -> str:
        """The token that goes on after ``key`` in ``query``, a :func:`query_digest`; ``now`` is Unix time."""
        content = orjson.dumps({"form": FORM, "query": query, "after": key})
        return self._fernet.encrypt_at_time(content, int(time.time() if now is None else now)).decode()

    def redeem(self, query: str, token: str, now: float | None = None) -> Key:
        """The key that ``token`` goes on after. Raises GceError (400) unless issued for ``query`` today."""
        moment = int(time.time() if now is None else now)
        try:
            text = self._fernet.decrypt_at_time(token.encode(), ttl=LIFE, current_time=moment)
        except (InvalidToken, UnicodeEncodeError):
            raise refused(token) from None
        content = orjson.loads(text)
        if content["form"] != FORM or content["query"] != query:
            raise refused(token)
        return tuple(content["after"])

    def __repr__(self) -> str:
        return "<Seal>"


def refused(token: str) -> GceError:
    """The 400 for a token that does not lead anywhere in this list."""
    shown = token if len(token) <= SHOWN else token[:SHOWN] + "..."
    return invalid(
        "pageToken", shown, "It belongs to another list or has expired: start with the first page."
    )


def init_app(app: Flask, key: bytes) -> None:
    """Make ``key`` (32 bytes, the same in all processes) what lists of ``app`` seal their tokens with."""
    app.extensions[EXTENSION] = Seal(key)


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
