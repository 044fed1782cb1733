"""Fingerprints: GCE's short hashes for optimistic locking.

Apart because labels, metadata, tags and whole resources all carry one. The surprising thing: gcloud decodes a
fingerprint and encodes it again in the URL-safe alphabet, so that alphabet is the one used here.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import orjson


def fingerprint(value: Any) -> str:
    """Twelve characters of URL-safe base64 (8 bytes), which change exactly when the JSON content of ``value``
    does.

    The order of an object's members is no content, the order of a list is.
    """
    digest = hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).digest()
    return base64.urlsafe_b64encode(digest[:8]).decode()


def matches(given: str, value: Any) -> bool:
    """Whether a client's fingerprint, in either base64 alphabet and with or without padding, is that of
    ``value``."""
    return _plain(given) == _plain(fingerprint(value))


def _plain(text: str) -> str:
    return text.strip().rstrip("=").replace("+", "-").replace("/", "_")
