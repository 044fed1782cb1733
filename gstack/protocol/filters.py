"""``filter``: from the client's text to a test of rendered resources.

Both of Google's syntaxes are one grammar here: ``field eq pattern`` (RE2, whole value) and AIP-160
(``field = value``); one request may use only one. The surprising thing: as in AIP-160, OR binds tighter than
AND, and two conditions side by side are an AND.

Sources: the ``filter`` parameter in Google's discovery document, https://google.aip.dev/160, and gcloud.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from typing import Any

from lark import Lark, Token, Transformer, v_args

from gstack.protocol.conditions import (
    PATTERNS,
    Comparison,
    Condition,
    Every,
    Not,
    comparisons,
    compile_condition,
    conjunction,
    depth,
    disjunction,
)
from gstack.protocol.grammar import parse, refuse
from gstack.protocol.ordering import instant

LONGEST = 4096  # characters of a filter
MOST_COMPARISONS = 200
MOST_PATTERNS = 32  # each may hold conditions.PATTERN_MEMORY bytes
DEEPEST = 40  # levels; the tree is walked recursively
KEPT = 64  # compiled filters

# An unquoted pattern may hold spaces ("fieldname eq unquoted literal") and balanced parentheses, four deep;
# CONT are its words after the first. Terminals with a number win over those that match the same text.
GRAMMAR = r"""
start: conjunction
conjunction: disjunction (_AND? disjunction)*
disjunction: term (_OR term)*
?term: _NOT term                     -> negation
     | "-" term                      -> negation
     | "(" conjunction ")"
     | FIELD OPERATOR (STRING | VALUE)      -> comparison
     | FIELD HAS (STRING | VALUE)           -> comparison
     | FIELD REGEX (STRING | words)         -> comparison
words: WORD CONT*

_AND.3: /AND(?![\w.-])/
_OR.3: /OR(?![\w.-])/
_NOT.3: /NOT(?![\w.-])/
OPERATOR: "=" | "!=" | "<=" | ">=" | "<" | ">"
HAS: ":"
REGEX: /(eq|ne)(?![\w.-])/
FIELD: /[^\W\d][\w-]*(\.([\w-]+|"([^"\\]|\\.)*"))*/
STRING.2: /"([^"\\]|\\.)*"|'([^'\\]|\\.)*'/s
VALUE: /[^\s()"'=<>!]+/
WORD: /([^\s()"'\\]|\\.|GROUP)+/
CONT.2: /[^\s()"'\\]([^\s()"'\\]|\\.|GROUP)*/
%ignore /\s+/
"""
GROUP = r"[^()\\]|\\."
for _ in range(4):
    GROUP = rf"[^()\\]|\\.|\(({GROUP})*\)"
GROUP = GROUP.removeprefix(r"[^()\\]|\\.|")

SEGMENT = re.compile(r'"(?:[^"\\]|\\.)*"|[^.]+')
ESCAPE = re.compile(r"""\\(["'\\])""")
RESERVED = frozenset({"eq", "ne", "=", "!=", "<", "<=", ">", ">="})
WORDS = {
    "FIELD": "a field name",
    "OPERATOR": "one of = != < <= > >= :",
    "REGEX": "eq or ne",
    "STRING": "a quoted value",
    "VALUE": "a value",
    "WORD": "a regular expression",
    "_AND": "AND",
    "_OR": "OR",
    "LPAR": "'('",
    "RPAR": "')'",
    "$END": "the end",
}
# What gcloud makes of name=x: anywhere in the value, as whole words.
WORDED = re.compile(r"\.\*\\b((?:[\w-]|\\-)+)\\b\.\*\Z")
LITERAL = re.compile(r"\^?((?:[\w/:-]|\\[^\w\s])*)\$?\Z")


class Filter:
    """A compiled filter: immutable, safe to share between threads."""

    def __init__(self, condition: Condition | None, text: str = "") -> None:
        self.condition = condition
        self._test = compile_condition(condition, text) if condition else None
        self.fields: frozenset[str] = frozenset(
            comparison.field[0] for comparison in (comparisons(condition) if condition else ())
        )
        """The top-level fields that the filter reads; empty when it lets everything pass."""

    def matches(self, resource: Mapping[str, Any]) -> bool:
        """Whether a rendered resource passes."""
        return self._test is None or self._test(resource)

    __call__ = matches

    def __str__(self) -> str:
        """The filter in canonical form: compiles to an equal condition."""
        return str(self.condition or "")

    def equalities(self) -> dict[str, str]:
        """Fields (dotted) that must equal one text, by the conditions that stand alone or AND-ed at the top.

        ``name = "x"``, ``name eq x`` and ``name eq ^x$`` all give ``{"name": "x"}``. To be pushed down
        upstream; the filter itself must still be applied.
        """
        return self._wanted(_literal)

    def words(self) -> dict[str, str]:
        """Fields (dotted) that must hold one text as whole words, by the same conditions: ``name eq ".*\\bx\\b.*"``,
        which gcloud makes of ``name=x``, and what :meth:`equalities` finds."""
        return self._wanted(_worded)

    def _wanted(self, read: Callable[[Comparison], str | None]) -> dict[str, str]:
        found: dict[str, str] = {}
        for part in self._conjuncts():
            if isinstance(part, Comparison) and (value := read(part)):
                found.setdefault(".".join(part.field), value)
        return found

    def part(self, fields: Iterable[str]) -> Filter:
        """The AND-ed conditions that read no other top-level fields than ``fields``.

        What the whole filter lets pass, this lets pass; everything passes when there is no such condition.
        """
        known = frozenset(fields)
        if self.fields <= known:
            return self
        kept = [part for part in self._conjuncts() if {one.field[0] for one in comparisons(part)} <= known]
        return Filter(conjunction(kept)) if kept else EVERYTHING

    def _conjuncts(self) -> tuple[Condition, ...]:
        if self.condition is None:
            return ()
        return self.condition.parts if isinstance(self.condition, Every) else (self.condition,)


EVERYTHING = Filter(None)


@lru_cache(maxsize=KEPT)
def compile_filter(text: str | None) -> Filter:
    """The filter that ``text`` describes; None and blank let everything pass.

    Raises GceError (400, location ``filter``), with the position and the token, for what cannot be read,
    mixes the two syntaxes, holds a pattern that RE2 refuses, or is too large.
    """
    if not text or not text.strip():
        return EVERYTHING
    if len(text) > LONGEST:
        raise refuse("filter", text, f"A filter may have {LONGEST} characters, this has {len(text)}.")
    try:
        condition: Condition = parse(_parser(), text, "filter", WORDS)
    except _Stray as stray:
        why = f"'{stray.word}' is unexpected; parenthesise each comparison, or quote the value."
        raise refuse("filter", text, why, stray.word.start_pos) from None
    _check(condition, text)
    return Filter(condition, text)


def _check(condition: Condition, text: str) -> None:
    if depth(condition) > DEEPEST:
        raise refuse("filter", text, f"Conditions may be nested {DEEPEST} deep.")
    found = list(comparisons(condition))
    if len(found) > MOST_COMPARISONS:
        raise refuse("filter", text, f"A filter may have {MOST_COMPARISONS} comparisons.")
    if sum(one.operator in PATTERNS or "*" in one.text for one in found) > MOST_PATTERNS:
        raise refuse("filter", text, f"A filter may have {MOST_PATTERNS} patterns.")
    old = found[0].operator in PATTERNS
    for one in found:
        if (one.operator in PATTERNS) is not old:
            why = f"'{one.operator}' cannot stand in one filter with '{found[0].operator}'."
            raise refuse("filter", text, why, one.at)


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR.replace("GROUP", GROUP), parser="lalr", transformer=_Builder())


class _Stray(Exception):
    """An operator where the words of an unquoted pattern go on."""

    def __init__(self, word: Token) -> None:
        super().__init__(word)
        self.word = word


@v_args(inline=True)
class _Builder(Transformer[Token, Condition]):
    """Called while Lark parses: there is no parse tree, so nesting costs no Python stack."""

    def start(self, condition: Condition) -> Condition:
        return condition

    def conjunction(self, *parts: Condition) -> Condition:
        return conjunction(list(parts))

    def disjunction(self, *parts: Condition) -> Condition:
        return disjunction(list(parts))

    def negation(self, part: Condition) -> Condition:
        return Not(part)

    def words(self, *words: Token) -> Token:
        for word in words[1:]:
            if word in RESERVED:
                raise _Stray(word)
        return words[0].update(value=" ".join(words))

    def comparison(self, name: Token, operator: Token, value: Token) -> Condition:
        at = int(value.start_pos or 0)
        field = tuple(_segment(one) for one in SEGMENT.findall(name))
        if operator == ":" and value == "*":
            return Comparison(field, ":*", at=at)
        return Comparison(field, str(operator), _value(value, raw=operator in PATTERNS), at)


def _segment(text: str) -> str:
    return ESCAPE.sub(r"\1", text[1:-1]) if text.startswith('"') else text


def _value(token: Token, raw: bool) -> str:
    """What a value token stands for; a pattern keeps its backslashes, they are RE2's."""
    if token.type != "STRING":
        return str(token)
    return token[1:-1] if raw else ESCAPE.sub(r"\1", token[1:-1])


def _literal(comparison: Comparison) -> str | None:
    """The one text that a comparison lets pass, where there is one."""
    text = comparison.text
    if comparison.operator == "eq":
        met = LITERAL.match(text)
        text = re.sub(r"\\(.)", r"\1", met[1]) if met else ""
    elif comparison.operator != "=" or "*" in text:
        return None
    # An instant may be written in many ways, and absent fields equal the empty text.
    return text if text and instant(text) is None else None


def _worded(comparison: Comparison) -> str | None:
    """The text that a comparison demands as whole words, where there is one."""
    met = WORDED.match(comparison.text) if comparison.operator == "eq" else None
    return met[1].replace("\\", "") if met else _literal(comparison)
