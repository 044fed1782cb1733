"""What real clients send as a request body, and the JSON object it means.

Apart because these are quirks of clients, not of resources. The surprising thing: Node sends the two bytes
``""`` and libcloud the JSON string ``"ignored"`` with every POST that takes no body.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import orjson
from werkzeug.datastructures import Headers
from werkzeug.http import parse_options_header

from gstack.errors import GceError

LIMIT = 2**20
# Google refuses JSON deeper than this, too.
DEPTH = 100
# Besides UTF-8. Python knows more, of which some take minutes for a megabyte (punycode).
CHARSETS = frozenset({"utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32le", "utf-32be"}) | {
    "utf-8-sig",
    "iso-8859-1",
    "latin1",
    "latin-1",
    "iso-8859-15",
    "windows-1252",
    "cp1252",
}
# Layers of Content-Encoding: no client has more than one, and each costs a megabyte again.
LAYERS = 2


def read_body(
    data: bytes, headers: Headers | Mapping[str, str], *, expects_body: bool, limit: int = LIMIT
) -> dict[str, Any]:
    """The JSON object in ``data``, without null members at any depth.

    ``headers`` tells ``Content-Type`` (its charset) and ``Content-Encoding``. ``expects_body``: whether the
    method takes one; if not, any JSON string counts as none. ``limit`` is in bytes, after decompression.
    GceError: 413 for too much, 400 (``parseError``) with line and column for what is no JSON, 400 for what is
    no object, is too deep or is encoded in an unknown way. Of a member given twice the last counts. Nulls stay at
    the top alone, where clients take something away with them.
    """
    if not data:
        return {}
    if len(data) > limit:
        raise too_large(limit)
    plain = unpacked(data, headers.get("Content-Encoding") or "", limit)
    text = _transcoded(plain, headers.get("Content-Type") or "").strip()
    if not text:
        return {}
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _no_json(error) from None
    if value is None or value == "" or (not expects_body and isinstance(value, str)):
        return {}
    if not isinstance(value, dict):
        raise GceError("badRequest", "Invalid JSON payload received. The request body must be a JSON object.")
    if not expects_body and value:
        name = next(iter(value))[:100]
        raise GceError(
            "badRequest",
            f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.',
            location=name,
        )
    return {name: _pruned(entry, DEPTH - 1) for name, entry in value.items()}


def unpacked(data: bytes, content_encoding: str, limit: int) -> bytes:
    """``data`` without its ``Content-Encoding``. GceError: 413 for more than ``limit`` bytes, 400 for what is broken or
    encoded in another way than gzip or deflate."""
    layers = [part.strip().lower() for part in content_encoding.split(",")]
    layers = [name for name in layers if name not in ("", "identity")]
    if len(layers) > LAYERS:
        raise GceError("badRequest", f"The Content-Encoding names {len(layers)} layers; {LAYERS} are supported.")
    for name in reversed(layers):
        if name not in ("gzip", "x-gzip", "deflate"):
            raise GceError("badRequest", f"The Content-Encoding '{name[:40]}' is not supported; gzip and deflate are.")
        # 32: zlib finds out by itself whether a gzip or a zlib header comes.
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        try:
            data = unpacker.decompress(data, limit + 1)
        except zlib.error:
            raise GceError("parseError", f"The request body is not valid {name}.") from None
        if len(data) > limit:
            raise too_large(limit)
        if not unpacker.eof:
            raise GceError("parseError", f"The request body is not valid {name}: it ends too early.")
        if unpacker.unused_data:
            raise GceError("parseError", f"The request body is not valid {name}: something follows its end.")
    return data


def _transcoded(data: bytes, content_type: str) -> bytes:
    charset = parse_options_header(content_type)[1].get("charset", "utf-8").lower()
    if charset in ("utf-8", "utf8", "us-ascii", "ascii"):
        return data.removeprefix(b"\xef\xbb\xbf")
    if charset not in CHARSETS:
        raise GceError("badRequest", f"The charset '{charset[:40]}' is not supported.")
    try:
        return data.decode(charset).encode()
    except UnicodeError:
        raise GceError("parseError", f"The request body is not valid {charset[:40]}.") from None


def _pruned(value: Any, depth: int) -> Any:
    if depth < 0:
        raise GceError("badRequest", f"Invalid JSON payload received. It is nested more than {DEPTH} levels deep.")
    if isinstance(value, dict):
        return {name: _pruned(entry, depth - 1) for name, entry in value.items() if entry is not None}
    if isinstance(value, list):
        return [_pruned(entry, depth - 1) for entry in value]
    return value


def too_large(limit: int = LIMIT) -> GceError:
    """GCE's 413; ``limit`` in bytes."""
    return GceError("uploadTooLarge", f"The request body is larger than {limit} bytes.")


def _no_json(error: orjson.JSONDecodeError) -> GceError:
    return GceError(
        "parseError",
        f"Invalid JSON payload received. {error.msg.partition(':')[0].capitalize()} "
        f"at line {error.lineno}, column {error.colno}.",
    )
