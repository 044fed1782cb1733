"""GCE's numeric ids, made from CloudStack's UUIDs.

Apart because links, operations and views need the same number for the same object, in every process and
release. The surprising thing: Terraform reads some ids as a signed 64-bit integer, so bit 63 is never set.
"""

from __future__ import annotations

import hashlib
import uuid
from functools import lru_cache


@lru_cache(maxsize=16_384)
def numeric_id(value: str) -> int:
    """A stable number in 1..2^63-1 for a UUID in any spelling, or for any other text."""
    try:
        content = uuid.UUID(value).bytes
    except ValueError:
        content = b"text:" + value.encode()
    digest = hashlib.blake2b(content, digest_size=8).digest()
    return (int.from_bytes(digest) & (2**63 - 1)) or 1
