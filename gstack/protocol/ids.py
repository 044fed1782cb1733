"""GCE's numeric ids, made from CloudStack's UUIDs.

Apart because links, operations and views need the same number for the same object, in every process and
release. The surprising thing: Terraform reads some ids as a signed 64-bit integer, so bit 63 is never set.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from functools import lru_cache
from typing import Protocol, TypeVar


@lru_cache(maxsize=16_384)
def numeric_id(value: str) -> int:
    """A stable number in 1..2^63-1 for a UUID in any spelling, or for any other text."""
    try:
        content = uuid.UUID(value).bytes
    except ValueError:
        content = b"text:" + value.encode()
    digest = hashlib.blake2b(content, digest_size=8).digest()
    return (int.from_bytes(digest) & (2**63 - 1)) or 1


class Numbered(Protocol):
    """What has a numeric id."""

    @property
    def number(self) -> int:
        """The id."""


Row = TypeVar("Row", bound=Numbered)


def numbered(number: str, rows: Iterable[Row]) -> Row | None:
    """The one of ``rows`` that has a number, where ``number`` is one: clients write it in place of a name."""
    wanted = int(number) if number.isascii() and number.isdigit() and len(number) < 20 else None
    return next((row for row in rows if row.number == wanted), None) if wanted else None
