"""Reading parameters and writing JSON, as every OAuth endpoint does it.

Apart because the token endpoint and those around it share it. The surprising thing: a form is read only after its size
is known to be small, for these endpoints answer whoever asks.
"""

from __future__ import annotations

from typing import Any

import orjson
from flask import Request, Response

from gstack.auth.grants.request import OAuthError

NEVER_IN_THE_URL = frozenset(
    {
        "grant_type",
        "client_id",
        "client_secret",
        "assertion",
        "code",
        "code_verifier",
        "refresh_token",
        "subject_token",
    }
)
LONGEST_BODY = 64 * 1024


def read_parameters(incoming: Request) -> dict[str, str]:
    """The parameters of a form or JSON body, each at most once. Raises :class:`OAuthError`."""
    incoming.max_content_length = LONGEST_BODY
    if (incoming.content_length or 0) > LONGEST_BODY:
        raise OAuthError("invalid_request", "The request is too large.", status=413)
    if not NEVER_IN_THE_URL.isdisjoint(incoming.args):
        raise OAuthError("invalid_request", "Parameters belong into the body, not into the URL.")
    if incoming.mimetype == "application/json":
        return _json_parameters(incoming.get_data(cache=False))
    pairs = list(incoming.form.items(multi=True))
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise OAuthError("invalid_request", "A parameter is given twice.")
    return parameters


def _json_parameters(data: bytes) -> dict[str, str]:
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise OAuthError("invalid_request", "The body is not JSON.") from None
    if not isinstance(body, dict) or not all(isinstance(value, str) for value in body.values()):
        raise OAuthError("invalid_request", "The body must be a JSON object of strings.")
    return body


def answer_json(body: dict[str, Any], status: int = 200) -> Response:
    """JSON that nobody on the way may keep."""
    response = Response(orjson.dumps(body), status, content_type="application/json; charset=UTF-8")
    response.headers["Cache-Control"] = "no-store"
    response.headers["Pragma"] = "no-cache"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
