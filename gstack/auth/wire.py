"""OAuth on the wire: a request once it has been read, its errors (RFC 6749, section 5.2), and the JSON that goes out.

Apart because every OAuth endpoint reads and writes alike; Authlib's own reading takes secrets out of the URL and knows
no JSON bodies. The surprising thing: a form is read only after its size is known to be small, for these endpoints
answer whoever asks.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any
from urllib.parse import unquote_plus

import orjson
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload, OAuth2Request
from flask import Request, Response

from gstack.auth import audit
from gstack.errors import GceError

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
_NO_DESCRIPTION = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")  # RFC 6749, section 5.2


class OAuthError(OAuth2Error):
    """``error`` is a code of RFC 6749 (section 5.2); ``description`` a sentence for the client, without
    secrets."""

    def __init__(self, error: str, description: str, *, status: int = 400, retry_after: int | None = None) -> None:
        super().__init__(error=error, description=_NO_DESCRIPTION.sub("'", description), status_code=status)
        self.retry_after = retry_after


class OAuthRequest(OAuth2Request):
    """A request that Authlib and the grants read. ``parameters`` come each once; ``basic`` is the client id and secret
    of a Basic header. ``token_uris`` are the addresses by which the token endpoint may be meant, ``issuer`` the
    gateway's root; ``lists`` holds all values of what came more than once.

    Authlib wants to see https in the address; whether TLS ends here or before is the operator's business.
    """

    def __init__(
        self,
        method: str,
        parameters: dict[str, str],
        *,
        basic: tuple[str, str] | None = None,
        address: str = "",
        token_uris: frozenset[str] = frozenset(),
        issuer: str = "",
        lists: dict[str, list[str]] | None = None,
    ) -> None:
        super().__init__(method, "https://gateway/")
        self.parameters = parameters
        self.payload = BasicOAuth2Payload(parameters)
        if lists is not None:
            self.payload.datalist.update(lists)
        self.basic = basic
        self.address = address
        self.token_uris = token_uris
        self.issuer = issuer

    @property
    def form(self) -> dict[str, str]:
        """The parameters, by Authlib's name for them."""
        return self.parameters

    @property
    def grant_type(self) -> str:
        """What kind of token request it is; empty for others."""
        return self.parameters.get("grant_type", "")

    def key_pair(self) -> tuple[str, str]:
        """Client id and secret, from the body or the Basic header. Raises :class:`OAuthError`."""
        given = self.parameters.get("client_id", ""), self.parameters.get("client_secret", "")
        if self.basic is not None:
            if given[1] or given[0] not in ("", self.basic[0]):
                raise OAuthError("invalid_request", "Give the client's id and secret once, not twice.")
            given = self.basic
        if not given[0] or not given[1]:
            raise OAuthError("invalid_client", "client_id and client_secret are required.", status=401)
        return given

    def client_name(self) -> str:
        """The client's id, wherever it is given; empty where it is not."""
        return self.parameters.get("client_id") or (self.basic[0] if self.basic is not None else "")

    def required(self, name: str) -> str:
        """A parameter that must be there. Raises :class:`OAuthError`."""
        value = self.parameters.get(name, "")
        if not value:
            raise OAuthError("invalid_request", f"The parameter {name} is required.")
        return value


def read_parameters(incoming: Request) -> dict[str, str]:
    """The parameters of a form or JSON body, each at most once. Raises :class:`OAuthError`."""
    incoming.max_content_length = LONGEST_BODY
    if (incoming.content_length or 0) > LONGEST_BODY:
        raise OAuthError("invalid_request", "The request is too large.", status=413)
    if not NEVER_IN_THE_URL.isdisjoint(incoming.args):
        raise OAuthError("invalid_request", "Parameters belong into the body, not into the URL.")
    if incoming.mimetype == "application/json":
        parameters = _json_parameters(incoming.get_data(cache=False))
    else:
        pairs = list(incoming.form.items(multi=True))
        parameters = dict(pairs)
        if len(parameters) != len(pairs):
            raise OAuthError("invalid_request", "A parameter is given twice.")
    if any("\0" in value for value in parameters.values()):  # PostgreSQL takes none
        raise OAuthError("invalid_request", "A parameter holds a NUL character.")
    return parameters


def basic_client(header: str) -> tuple[str, str] | None:
    """Client id and secret of an HTTP Basic header, or None. Raises :class:`OAuthError`."""
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    name, colon, secret = text.partition(":")
    if not colon:
        raise OAuthError("invalid_client", "The Basic authorization header is malformed.", status=401)
    return unquote_plus(name), unquote_plus(secret)


def answer_json(body: dict[str, Any], status: int = 200) -> Response:
    """JSON that nobody on the way may keep."""
    response = Response(orjson.dumps(body), status, content_type="application/json; charset=UTF-8")
    response.headers["Cache-Control"] = "no-store"
    response.headers["Pragma"] = "no-cache"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def refuse(error: OAuth2Error, what: str) -> Response:
    """The error as RFC 6749 (section 5.2) wants it, and a line in the audit log."""
    description = error.get_error_description() or "The request is refused."
    audit.refused(what, description)
    response = answer_json({"error": error.error, "error_description": description}, error.status_code)
    if error.status_code == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="gstack"'
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def upstream(error: GceError) -> OAuthError:
    """CloudStack could not be asked, or forbids it."""
    if error.http in (429, 503):
        return OAuthError(
            "temporarily_unavailable",
            "CloudStack cannot be asked whether the credential is valid. Try again.",
            status=503,
            retry_after=error.retry_after,
        )
    return OAuthError("access_denied", error.message, status=403)


def _json_parameters(data: bytes) -> dict[str, str]:
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise OAuthError("invalid_request", "The body is not JSON.") from None
    if not isinstance(body, dict) or not all(isinstance(value, str) for value in body.values()):
        raise OAuthError("invalid_request", "The body must be a JSON object of strings.")
    return body
