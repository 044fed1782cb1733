"""CloudStack's request signature: the canonical string, the HMAC and the expiry of version 3.

Apart, because it is pure. Surprising: names are sorted as they are, case and all, and values are encoded
the way Java's URLEncoder does it ("*" stays, "~" does not), which is not what most client libraries do.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

EXPIRES = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:Z|([+-]\d\d):?(\d\d))")


def encode(value: str) -> str:
    return quote(value, safe="*").replace("~", "%7e")


def canonical(params: Mapping[str, str]) -> str:
    pairs = (f"{name}={encode(params[name])}" for name in sorted(params) if name.lower() != "signature")
    return "&".join(pairs).lower()


def sign(params: Mapping[str, str], secret: str) -> str:
    digest = hmac.new(secret.encode(), canonical(params).encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def verify(params: Mapping[str, str], secret: str, signature: str) -> bool:
    return hmac.compare_digest(sign(params, secret).encode(), signature.encode())


def parse_expires(value: str) -> float | None:
    """Seconds since the epoch, or None for anything that is not `yyyy-MM-dd'T'HH:mm:ssZ`."""
    match = EXPIRES.fullmatch(value)
    if match is None:
        return None
    try:
        moment = datetime.fromisoformat(match[1]).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
    hours, minutes = int(match[2] or 0), int(match[3] or 0)
    return moment - hours * 3600 - (minutes if hours >= 0 else -minutes) * 60
