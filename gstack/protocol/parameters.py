"""Path and query parameters against a method's description.

Apart from bodies because everything arrives as text. The surprising thing: an empty query value counts as
absent (clients send ``filter=``), and what Google's front end takes from every client is accepted and left
alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from werkzeug.datastructures import MultiDict

from gstack.errors import GceError, Problem
from gstack.protocol import values
from gstack.protocol.discovery import Method, Schema

Query = MultiDict[str, str] | Iterable[tuple[str, str]]

# Read by the pipeline; any other that is not the method's own stays out of the answer: some hold tokens.
PASSED_ON = frozenset({"alt", "fields", "prettyPrint"})
ALIASES = {"$alt": "alt", "$fields": "fields", "$prettyPrint": "prettyPrint", "pp": "prettyPrint"}
# Accepted and left alone: https://cloud.google.com/apis/docs/system-parameters, each also with a dollar sign,
# and what older clients add.
SYSTEM = (
    "alt",
    "callback",
    "fields",
    "key",
    "prettyPrint",
    "quotaUser",
    "trace",
    "userProject",
    "apiVersion",
)
OLDER = ("access_token", "bearer_token", "oauth_token", "pp", "uploadType", "upload_protocol", "userIp")
STANDARD = frozenset((*SYSTEM, *OLDER, *(f"${name}" for name in SYSTEM), "$.xgafv"))


def check_parameters(method: Method, path: Mapping[str, str], query: Query) -> dict[str, Any]:
    """Every parameter by its discovery name, typed, defaults filled in, repeated ones as lists.

    ``path`` is what the URL rule matched, ``query`` the decoded pairs in their order (of a parameter that is
    given twice and may not be, the last wins). Of the standard parameters only ``fields``, ``prettyPrint``
    and ``alt`` are kept. Raises one GceError (400) that names every parameter at fault.
    """
    checks = _checks(method)
    given, problems = _gathered(method, query)
    given |= {name: [value] for name, value in path.items()}
    params: dict[str, Any] = {}
    for name, texts in given.items():
        if name not in checks:
            continue
        try:
            read = [checks[name](text) for text in texts]
        except values.Unfit as unfit:
            problems.append(values.bad_value(name, texts[-1], str(unfit)))
            continue
        params[name] = read if method.parameters[name].get("repeated") else read[-1]
    for name, default in _defaults(method).items():
        if default is None and name not in given:
            problems.append(values.missing(name))
        elif default is not None:
            params.setdefault(name, default)
    if problems:
        message = "\n".join(problem.message for problem in problems)
        raise GceError(problems[0].kind or "invalid", message, problems=tuple(problems))
    return params


def _gathered(method: Method, query: Query) -> tuple[dict[str, list[str]], list[Problem]]:
    given: dict[str, list[str]] = {}
    problems: list[Problem] = []
    for name, text in _pairs(query):
        known = name if name in method.parameters else ALIASES.get(name, name)
        described = method.parameters.get(known)
        if known == "alt" and text:
            # Google's clients may say how they want enums: "json;enum-encoding=int". There are none but as text.
            if text.partition(";")[0] == "json":
                given["alt"] = ["json"]
            else:
                problems.append(values.bad_value(name, text, "Only json is supported."))
        elif name in ("callback", "$callback") and text:
            problems.append(values.bad_value(name, text, "Answers are plain JSON; JSONP is not supported."))
        elif described is not None and described["location"] == "query":
            if text != "":
                given.setdefault(known, []).append(text)
        elif name not in STANDARD:
            problems.append(_unbound(name[: values.SHOWN]))
    return given, problems


def standard(query: Query | Mapping[str, str], name: str) -> str:
    """What a query says for ``fields`` or ``prettyPrint``, under whichever of its names; the last of several, "" where
    it says nothing."""
    pairs = query.items() if isinstance(query, Mapping) and not isinstance(query, MultiDict) else _pairs(query)
    return next((text for key, text in reversed(list(pairs)) if text and ALIASES.get(key, key) == name), "")


def _pairs(query: Query) -> Iterable[tuple[str, str]]:
    return query.items(multi=True) if isinstance(query, MultiDict) else query


def _unbound(name: str) -> Problem:
    message = (
        f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter. '
        f"Field '{name}' could not be found in request message."
    )
    return Problem(message, name, "badRequest")


@cache
def _checks(method: Method) -> dict[str, values.Check]:
    return {
        name: values.scalar(described, grouped=False, text=True)
        for name, described in method.parameters.items()
        if name in PASSED_ON or name not in STANDARD
    }


@cache
def _defaults(method: Method) -> dict[str, Any]:
    """What an absent parameter becomes; None for a required one."""
    found: dict[str, Any] = {}
    for name, described in method.parameters.items():
        if described.get("required"):
            found[name] = None
        elif "default" in described and name in _checks(method):
            found[name] = _default(described, _checks(method)[name])
    return found


def _default(described: Schema, check: values.Check) -> Any:
    value = check(described["default"])
    return [value] if described.get("repeated") else value
