"""Batches: many requests in one multipart/mixed body, and many answers in one.

Pure: who dispatches the parts is no concern of this file. The surprising thing: gcloud crashes where the
status line of a part has no reason phrase or the part no Content-ID.

Source: https://cloud.google.com/compute/docs/api/how-tos/batch
"""

from __future__ import annotations

import email
import email.policy
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from urllib.parse import urlsplit

from gstack.errors import GceError

MOST_PARTS = 1000
REQUEST_LINE = re.compile(r"([A-Z]{1,16}) (\S{1,16384})(?: HTTP/[0-9](?:\.[0-9])?)?\s*")
# Header lines, of which the multipart boundary may have taken the last line end, and the blank line.
HEAD = re.compile(rb"(?:[^\r\n]+(?:\r?\n|\Z))*(?:\r?\n)?")


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
    if not content_type.lower().startswith("multipart/mixed") or "\n" in content_type or "\r" in content_type:
        raise GceError("badRequest", "A batch must have the Content-Type multipart/mixed with a boundary.")
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = email.message_from_bytes(head + body, policy=email.policy.compat32)
    parts = message.get_payload()
    if not isinstance(parts, list) or message.defects:
        raise GceError("badRequest", "The body of the batch does not follow its Content-Type.")
    if len(parts) > MOST_PARTS:
        raise GceError("badRequest", f"A batch may hold {MOST_PARTS} requests at the most, not {len(parts)}.")
    return [_part(number, part) for number, part in enumerate(parts, 1) if isinstance(part, Message)]


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


def _part(number: int, part: Message) -> Part:
    content_id = _content_id(str(part.get("Content-ID", "")))
    try:
        return _request(number, part, content_id)
    except GceError as error:
        return Part(content_id, "", "", {}, b"", error.message)


def _request(number: int, part: Message, content_id: str) -> Part:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        raise _bad(number, "is no HTTP request")
    first, _, rest = content.lstrip(b"\r\n").partition(b"\n")
    line = REQUEST_LINE.fullmatch(first.decode("latin-1"))
    if line is None:
        raise _bad(number, "does not begin with a request line")
    request = email.message_from_bytes(rest, policy=email.policy.compat32)
    head = HEAD.match(rest)
    return Part(
        content_id=content_id,
        method=line[1],
        path=_path(number, line[2]),
        headers={name: " ".join(str(value).split()) for name, value in request.items()},
        body=rest[head.end() :].strip(b"\r\n") if head else b"",
    )


def _path(number: int, target: str) -> str:
    try:
        url = urlsplit(target)
    except ValueError:  # [ without ]
        raise _bad(number, "does not name a path") from None
    if not url.path.startswith("/"):
        raise _bad(number, "does not name a path")
    if url.path.startswith("/batch"):
        raise _bad(number, "is a batch itself")
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
