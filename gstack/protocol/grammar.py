"""How the small languages of list requests are read: Lark's parsers, and Lark's complaints in GCE's words.

Apart from filters and masks because both need it. The surprising thing: whatever a client writes, the only
exception that leaves here is a GceError which says at which character the text stopped making sense.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lark import Lark
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from gstack.errors import GceError, invalid

SHOWN = 200  # characters of the client's text that an error repeats
EXPECTED = 6  # more alternatives than this are noise


def refuse(location: str, text: str, why: str, at: int | None = None) -> GceError:
    """The 400 for a parameter's text; ``at`` is the offset (from 0) of the place at fault."""
    shown = text if len(text) <= SHOWN else text[:SHOWN] + "..."
    place = "" if at is None else f"At character {at + 1}: "
    return invalid(location, shown, f"{place}{why}")


def parse(parser: Lark, text: str, location: str, words: Mapping[str, str]) -> Any:
    """What the parser's transformer makes of ``text``.

    ``location`` is the query parameter, ``words`` says terminal names in plain words. Raises GceError (400)
    with the position, the token met and what could have stood there.
    """
    try:
        return parser.parse(text)
    except UnexpectedInput as error:
        raise refuse(location, text, *_complaint(error, text, words)) from None


def _complaint(error: UnexpectedInput, text: str, words: Mapping[str, str]) -> tuple[str, int]:
    if isinstance(error, UnexpectedToken):
        at = len(text) if error.token.type == "$END" else int(error.token.start_pos or 0)
        met = "the text ends" if error.token.type == "$END" else f"{str(error.token)!r} is unexpected"
        names = error.accepts or error.expected
    elif isinstance(error, UnexpectedCharacters):
        at = int(error.pos_in_stream or 0)
        met = f"{text[at : at + 1]!r} is unexpected"
        names = error.allowed or set()
    else:
        return "The text cannot be read.", 0
    expected = sorted({words[name] for name in names if name in words})
    if not expected or len(expected) > EXPECTED:
        return f"{met}.", at
    return f"{met}, where {' or '.join(expected)} could stand.", at
