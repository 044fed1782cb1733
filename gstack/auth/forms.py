"""Forms that count only in the browser they were shown in: what they are for, sealed inside them, and a cookie.

Apart from the pages because those only render. Nobody has a session yet where these forms stand, so another site could
send one that it got itself; it has no cookie for it. The surprising thing: each form has a cookie of its own, named
after it, as people start two logins at once and answer the first one last.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from flask import Response, request

from gstack.auth.guard import Gatekeeper
from gstack.auth.tokens import hashed
from gstack.store.sealing import Unsealable

SECONDS = 600
COOKIE = "gstack_form_"
MOST = 20  # cookies of one browser; a site that opens page after page must not fill up its requests


class Unusable(Exception):
    """A form that is forged, too old or from elsewhere; the text is for the person in front of the page."""


@dataclass(frozen=True)
class Form:
    """``content`` says what the form is for; ``expires_at`` is in seconds since 1970."""

    content: dict[str, str]
    nonce: str
    expires_at: int

    def sealed(self, guard: Gatekeeper) -> str:
        """What the page carries in its hidden field."""
        return guard.sealer.seal(json.dumps(asdict(self)).encode())

    def bind(self, response: Response) -> Response:
        """``response``, which shows the form for the first time, with its cookie."""
        older = [name for name in request.cookies if name.startswith(COOKIE)]
        for name in older if len(older) >= MOST else ():
            response.delete_cookie(name, path=request.path)
        response.set_cookie(
            self._cookie,
            self.nonce,
            path=request.path,
            max_age=SECONDS,
            secure=request.is_secure,
            httponly=True,
            samesite="Strict",
        )
        return response

    def release(self, response: Response) -> Response:
        """``response``, after which the form is of no more use."""
        response.delete_cookie(self._cookie, path=request.path)
        return response

    @property
    def is_of_this_browser(self) -> bool:
        """Whether the request under way comes from the page that was shown here."""
        return hmac.compare_digest(self.nonce.encode(), request.cookies.get(self._cookie, "").encode())

    @property
    def _cookie(self) -> str:
        return COOKIE + hashed(self.nonce)[:16]


def new(guard: Gatekeeper, content: Mapping[str, str]) -> Form:
    """A form for ``content``."""
    return Form(dict(content), secrets.token_urlsafe(24), guard.keyring.now + SECONDS)


def opened(sealed: str, guard: Gatekeeper) -> Form:
    """The form that comes back. Raises :class:`Unusable`.

    Cookies are shared by all ports of a host, so what the browser itself says about the page that sends the form
    (Sec-Fetch-Site, https://www.w3.org/TR/fetch-metadata/) counts as well, where it says it.
    """
    try:
        form = Form(**json.loads(guard.sealer.open(sealed)))
        content, expires_at = dict(form.content), int(form.expires_at)
        is_ours = form.is_of_this_browser and all(isinstance(value, str) for value in content.values())
    except (Unsealable, ValueError, TypeError, AttributeError):
        raise Unusable("This page cannot be read.") from None
    if expires_at <= guard.keyring.now:
        raise Unusable("This page has expired.")
    if not is_ours or request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise Unusable("This page was not opened in this browser.")
    return form
