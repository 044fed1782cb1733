"""``fields``: Google's partial responses, applied by the writer to whatever a handler answered.

Apart from the lists because any method takes it. The surprising thing: lists are transparent (``items/id``
keeps the id of every item), and a mask of something absent is no error; one of a field that cannot be is
(:func:`check`).

Source: https://developers.google.com/workspace/drive/api/guides/fields-parameter, the same for all Google
APIs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from lark import Lark, Token, Transformer, v_args

from gstack.protocol.grammar import parse, refuse

LONGEST = 4096  # characters of a mask
DEEPEST = 40  # levels; a mask is walked recursively
KEPT = 64  # compiled masks
WILDCARD = "*"

GRAMMAR = r"""
start: path ("," path)*
path: NAME ("/" NAME)* ("(" start ")")?
NAME: /\*|[^\s,\/()*]+/
%ignore /\s+/
"""
WORDS = {
    "NAME": "a field name",
    "COMMA": "','",
    "SLASH": "'/'",
    "LPAR": "'('",
    "RPAR": "')'",
    "$END": "the end",
}

Mask = dict[str, "Mask"]
"""Selected members by name; an empty mask keeps everything below."""

Schemas = Mapping[str, Mapping[str, Any]]


@lru_cache(maxsize=KEPT)
def compile_mask(text: str) -> Mask:
    """The mask that ``text`` describes; blank keeps everything. Not to be changed: it is cached.

    Raises GceError (400, location ``fields``) with the position for what cannot be read.
    """
    if not text.strip():
        return {}
    if len(text) > LONGEST:
        raise refuse("fields", text, f"A field selection may have {LONGEST} characters.")
    try:
        mask: Mask = parse(_parser(), text, "fields", WORDS)
    except _TooDeep:
        raise refuse("fields", text, f"A field selection may be {DEEPEST} levels deep.") from None
    return mask


def apply(text: str, value: Any) -> Any:
    """What the mask ``text`` keeps of ``value``, which is not changed. Raises as :func:`compile_mask`."""
    return cut(compile_mask(text), value)


def cut(mask: Mask, value: Any) -> Any:
    """What ``mask`` keeps of ``value``."""
    if not mask:
        return value
    if isinstance(value, list):
        return [cut(mask, item) for item in value]
    if not isinstance(value, Mapping):
        return value
    wild = mask.get(WILDCARD)
    if wild is None:
        return {name: cut(below, value[name]) for name, below in mask.items() if name in value}
    return {name: cut(_merged(wild, mask[name]) if name in mask else wild, member) for name, member in value.items()}


def keeps(mask: Mask, path: Sequence[str]) -> bool:
    """Whether ``mask`` keeps anything of what stands at ``path``, in which ``*`` is for any name."""
    if not mask or not path:
        return True
    return any(keeps(below, path[1:]) for name, below in mask.items() if WILDCARD in (name, path[0]) or name == path[0])


def check(text: str, schema: str | None, schemas: Schemas) -> None:
    """Raise GceError (400) for a field that ``schema`` (a name in ``schemas``) cannot have."""
    mask = compile_mask(text)
    if schema is not None and schema in schemas and (unknown := _unknown(mask, schemas[schema], schemas)):
        raise refuse("fields", text, f"Invalid field selection {unknown}")


def _unknown(mask: Mask, schema: Mapping[str, Any], schemas: Schemas) -> str | None:
    while "$ref" in schema or schema.get("type") == "array":
        schema = schemas[schema["$ref"]] if "$ref" in schema else schema["items"]
    members: Mapping[str, Any] = schema.get("properties", {})
    rest = schema.get("additionalProperties")
    if not members and rest is None:
        return next(iter(mask), None) if schema.get("type") not in (None, "any", "object") else None
    for name, below in mask.items():
        known = list(members.values()) if name == WILDCARD else [members[name]] if name in members else []
        if rest is not None and (name == WILDCARD or not known):
            known.append(rest)
        if not known:
            return name
        problems = [_unknown(below, one, schemas) for one in known]
        if below and all(problems):
            return problems[0]
    return None


def _depth(mask: Mask) -> int:
    """Levels below the top, counted without recursion: the client chose how deep it is."""
    depth, level = 0, [mask]
    while level := [below for one in level for below in one.values()]:
        depth += 1
    return depth


def _merged(one: Mask, other: Mask) -> Mask:
    """The union: an empty mask, everything, wins."""
    if not one or not other:
        return {}
    return {
        name: _merged(one[name], other[name]) if name in one and name in other else (one | other)[name]
        for name in one | other
    }


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", transformer=_Builder())


class _TooDeep(Exception):
    """A mask of more levels than Python's stack should be asked for."""


@v_args(inline=True)
class _Builder(Transformer[Token, Mask]):
    """Called while Lark parses: there is no parse tree."""

    def start(self, *paths: Mask) -> Mask:
        whole = paths[0]
        for path in paths[1:]:
            whole = _merged(whole, path)
        return whole

    def path(self, *parts: Any) -> Mask:
        names = [str(part) for part in parts if isinstance(part, Token)]
        mask: Mask = parts[-1] if isinstance(parts[-1], dict) else {}
        for name in reversed(names):
            mask = {name: mask}
        if _depth(mask) > DEEPEST:
            raise _TooDeep
        return mask
