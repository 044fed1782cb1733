"""Batches: many requests in one multipart/mixed body, and many answers in one.

Pure: who dispatches the parts is no concern of this file. The surprising things: gcloud crashes where the status line
of a part has no reason phrase or the part no Content-ID; and Python's ``email`` reads headers here and nothing else,
since whoever nests multiparts in a body keeps it busy for minutes, or ends its stack.

Source: https://cloud.google.com/compute/docs/api/how-tos/batch
"""

from __future__ import annotations

import email.policy
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesHeaderParser
from http import HTTPStatus
from itertools import islice, pairwise
from urllib.parse import urlsplit

from gstack.errors import GceError

MOST_PARTS = 1000
REQUEST_LINE = re.compile(r"([A-Z]{1,16}) (\S{1,16384})(?: HTTP/[0-9](?:\.[0-9])?)?\s*")
# Header lines, of which the multipart boundary may have taken the last line end, and the blank line.
HEAD = re.compile(rb"(?:[^\r\n]+(?:\r?\n|\Z))*(?:\r?\n)?")
# RFC 2046, section 5.1.1. Clients that write = into a boundary do not all quote it.
BOUNDARY = re.compile(
    r'multipart/mixed\s*;.*?\bboundary=(?:"([ -!#-~]{1,70})"|([^\s";]{1,70}))[^\r\n]*', re.ASCII | re.IGNORECASE
)
LONGEST_TYPE = 1000  # characters of the header
AS_THEY_ARE = ("", "7bit", "8bit", "binary")


@dataclass(frozen=True)
class Part:
    """One request of a batch. ``path`` starts with a slash and holds the query; ``content_id`` is without
    brackets, empty where the client gave none. Headers are the part's own, in no particular case. A part that is no
    request has a ``problem``, a sentence, and nothing else: it must not take the others with it."""

    content_id: str
    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    problem: str = ""


def parse(content_type: str, body: bytes) -> list[Part]:
    """The requests of a batch in their order, with line ends of either kind. GceError 400 for what is no
    batch or has more than 1,000 parts."""
    boundary = BOUNDARY.fullmatch(content_type[:LONGEST_TYPE])
    if boundary is None:
        raise GceError("badRequest", "A batch must have the Content-Type multipart/mixed with a boundary.")
    return [_part(number, text) for number, text in enumerate(_divided((boundary[1] or boundary[2]).encode(), body), 1)]


def compose(answers: Iterable[tuple[str, int, Mapping[str, str], bytes]]) -> tuple[str, bytes]:
    """Content type and body of a batch's answer, from (content id, status, headers, body) of each part."""
    boundary = f"batch_{secrets.token_urlsafe(24)}"
    lines: list[bytes] = []
    for content_id, status, headers, body in answers:
        lines += [b"--" + boundary.encode(), b"Content-Type: application/http"]
        if content_id:
            lines.append(f"Content-ID: <response-{content_id}>".encode("latin-1", "replace"))
        lines += [b"", f"HTTP/1.1 {status} {_phrase(status)}".encode()]
        lines += [f"{name}: {value}".encode("latin-1", "replace") for name, value in headers.items()]
        lines += [b"", body]
    lines += [b"--" + boundary.encode() + b"--", b""]
    return f'multipart/mixed; boundary="{boundary}"', b"\r\n".join(lines)


def _divided(boundary: bytes, body: bytes) -> list[bytes]:
    """What stands between the lines of a boundary, each with the line end that it begins with."""
    text = b"\n" + body
    line = re.compile(rb"\r?\n--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    found = list(islice(line.finditer(text), MOST_PARTS + 2))
    last = next((number for number, each in enumerate(found) if each[1]), None)
    if (len(found) if last is None else last) > MOST_PARTS:
        raise GceError("badRequest", f"A batch may hold {MOST_PARTS} requests at the most.")
    if not last:  # no line ends the last part, or there is none before it
        raise GceError("badRequest", "The body of the batch does not follow its Content-Type.")
    return [text[one.end() : other.start()] for one, other in pairwise(found[: last + 1])]


def _part(number: int, text: bytes) -> Part:
    headers, content = _head(text.removeprefix(b"\r").removeprefix(b"\n"))
    content_id = _content_id(str(headers.get("Content-ID", "")))
    try:
        if str(headers.get("Content-Transfer-Encoding", "")).strip().lower() not in AS_THEY_ARE:
            raise _bad(number, "has a Content-Transfer-Encoding, which is not supported")
        return _request(number, content, content_id)
    except GceError as error:
        return Part(content_id, "", "", {}, b"", error.message)


def _head(text: bytes) -> tuple[Message, bytes]:
    """The headers that ``text`` begins with, and what follows their empty line."""
    head = HEAD.match(text)
    end = head.end() if head else 0
    return BytesHeaderParser(policy=email.policy.compat32).parsebytes(text[:end]), text[end:]


def _request(number: int, content: bytes, content_id: str) -> Part:
    first, _, rest = content.lstrip(b"\r\n").partition(b"\n")
    line = REQUEST_LINE.fullmatch(first.decode("latin-1"))
    if line is None:
        raise _bad(number, "does not begin with a request line")
    headers, body = _head(rest)
    return Part(
        content_id=content_id,
        method=line[1],
        path=_path(number, line[2]),
        headers={name: " ".join(str(value).split()) for name, value in headers.items()},
        body=body.strip(b"\r\n"),
    )


def _path(number: int, target: str) -> str:
    try:
        url = urlsplit(target)
    except ValueError:  # [ without ]
        raise _bad(number, "does not name a path") from None
    if not url.path.startswith("/"):
        raise _bad(number, "does not name a path")
    return f"{url.path}?{url.query}" if url.query else url.path


def _content_id(text: str) -> str:
    return " ".join(text.split()).removeprefix("<").removesuffix(">")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _bad(number: int, what: str) -> GceError:
    return GceError("badRequest", f"Part {number} of the batch {what}.")
