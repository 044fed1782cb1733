"""The pages a person opens, rendered and protected: the consent page and the credentials page.

Apart because both need the same headers. No page has a script, and its one style sheet is allowed by its hash, so
nothing that gets into a page can run. The surprising thing: Chromium applies ``form-action`` to the redirect that
answers a form too, and has no word for an IPv6 address there.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from urllib.parse import urlsplit

from flask import Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gstack.auth import limiter, password
from gstack.auth.guard import Gatekeeper, request_address
from gstack.auth.identity import Refused


def page(name: str, status: int = 200, *, then: str = "", **context: object) -> Response:
    """The page ``name``; its form may be answered by a redirect to the address ``then``."""
    html = _pages().get_template(f"{name}.html.j2").render(**context)
    return protected(Response(html, status, content_type="text/html; charset=utf-8"), then)


def protected(response: Response, then: str = "") -> Response:
    """Not kept, not framed, not scripted, and its address told to nobody."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Security-Policy"] = _policy(then)
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    return response


def key_pair(guard: Gatekeeper, form: Mapping[str, str]) -> tuple[str, str]:
    """The key pair of whoever filled in the sign-in form: as typed, or by user name and password.

    Raises :class:`Refused`, :class:`limiter.TooManyFailures`, and GceError, all with words for the person.
    """
    if form.get("api_key"):
        return form["api_key"].strip(), form.get("secret_key", "").strip()
    user, domain = form.get("username", ""), form.get("domain", "")
    login = guard.sealer.indexes("login", password.plain_name(user, domain))[0]
    counted = limiter.subjects(login, request_address())
    limiter.check(counted, guard.keyring.now)
    try:
        may_make = form.get("make_keys") == "yes"
        code = form.get("second_factor", "")
        pair = password.key_pair(
            guard.keyring.endpoint, user, form.get("password", ""), domain, may_make=may_make, code=code
        )
    except Refused:
        limiter.failed(counted, guard.keyring.now)
        raise
    limiter.check(counted, guard.keyring.now)  # many may have been tried side by side
    return pair


def _policy(then: str) -> str:
    form = "'self'"
    if then:
        parts = urlsplit(then)
        form += " http:" if ":" in (parts.hostname or "") else f" {parts.scheme}://{parts.netloc}"
    return (
        f"default-src 'none'; style-src 'sha256-{_style_hash()}'; form-action {form}; "
        "frame-ancestors 'none'; base-uri 'none'"
    )


@cache
def _style() -> str:
    return (files("gstack") / "data" / "pages" / "style.css").read_text(encoding="utf-8")


@cache
def _style_hash() -> str:
    return base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()


@cache
def _pages() -> Environment:
    environment = Environment(
        loader=PackageLoader("gstack", "data/pages"), autoescape=True, undefined=StrictUndefined, auto_reload=False
    )
    environment.globals["style"] = Markup(_style())  # noqa: S704 - a file of this package
    return environment
