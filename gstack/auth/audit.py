"""The audit log: one line for every token handed out or refused, or taken back. Never a secret, never a key.

Apart so that what is written there can be read in one place. Text that a client chose is cut and quoted. The
surprising thing: from where and with which client a request came is in no event here, and calls of Compute Engine have
no line here at all. Both are bound to the request under way, and every line of it shows them; the pipeline's own line
knows method and outcome.
"""

from __future__ import annotations

import flask
import structlog

from gstack import metrics
from gstack.auth.grant import Grant

log = structlog.get_logger(__name__)
LONGEST = 200
_BOUND = ("credential", "user", "how", "project")


def issued(grant_type: str, credential_id: str, account: str) -> None:
    """A token went out."""
    metrics.login(grant_type, "issued")
    log.info("token.issued", grant=quoted(grant_type), credential=credential_id, account=quoted(account))


def refused(grant_type: str, reason: str) -> None:
    """A token was refused; ``reason`` is our own sentence."""
    metrics.login(grant_type, "refused")
    log.warning("token.refused", grant=quoted(grant_type), reason=quoted(reason))


def killed(credential_id: str, reason: str) -> None:
    """Every token of a credential was taken back."""
    log.warning("tokens.revoked", credential=credential_id, reason=quoted(reason))


def changed(what: str, credential_id: str, by: str) -> None:
    """Somebody made, rotated or ended something on the credentials page."""
    log.info("credential.changed", what=what, credential=credential_id, by=quoted(by))


def answered(method: str, status: int) -> None:
    """The outcome of a call that is no method of Compute Engine (user information, projects)."""
    log.info("request", method=method, status=status)


def begin() -> None:
    """A new request: every line of it says from where and with what it comes, and nobody is known yet. Threads are
    used again, and what is bound stays."""
    structlog.contextvars.unbind_contextvars(*_BOUND)
    structlog.contextvars.bind_contextvars(address=flask.request.remote_addr or "", client=client())


def bind(grant: Grant) -> None:
    """... and from now on who calls."""
    structlog.contextvars.bind_contextvars(credential=grant.credential_id, user=grant.user, how=grant.how)


def bind_project(project: str) -> None:
    """... and in which project."""
    structlog.contextvars.bind_contextvars(project=project)


def client() -> str:
    """What the client calls itself, quoted."""
    return quoted(flask.request.headers.get("User-Agent", "")) if flask.has_request_context() else "''"


def quoted(text: str) -> str:
    """``text`` on one line and not endless."""
    return repr(text[:LONGEST])
