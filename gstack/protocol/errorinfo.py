"""``google.rpc.ErrorInfo``: what Google's front end adds to the errors that it answers itself.

Apart from :mod:`gstack.errors` because it names the method that was called. The surprising thing: libraries decide
by ``reason`` what to do next (gcloud offers to enable an API for SERVICE_DISABLED), so only these few are ever sent.

Source: https://cloud.google.com/apis/design/errors#error_info and the answers of compute.googleapis.com.
"""

from __future__ import annotations

from typing import Any

from gstack.errors import GceError
from gstack.protocol.discovery import Method

TYPE = "type.googleapis.com/google.rpc.ErrorInfo"
DOMAIN = "googleapis.com"
SERVICE = "compute.googleapis.com"

# Unknown, expired and revoked tokens look alike on purpose: one reason for all.
REASONS = {
    "authError": "ACCESS_TOKEN_TYPE_UNSUPPORTED",
    "forbidden": "IAM_PERMISSION_DENIED",
    "quotaExceeded": "RESOURCE_QUOTA_EXCEEDED",
    "rateLimitExceeded": "RATE_LIMIT_EXCEEDED",
}
NO_CREDENTIALS = "CREDENTIALS_MISSING"


def error_info(error: GceError, method: Method | None) -> dict[str, Any] | None:
    """The detail for ``error``; None for the kinds that GCE's own servers answer, which carry none.

    ``method`` is what was called, None where the request did not come that far.
    """
    reason = REASONS.get(error.kind)
    if reason is None or any(detail.get("@type") == TYPE for detail in error.details):
        return None
    if error.kind == "authError" and error.problems[0].kind == "required":
        reason = NO_CREDENTIALS
    metadata = {"service": SERVICE}
    if method is not None:
        metadata["method"] = f"compute.v1.{_capital(method.resource)}Service.{_capital(method.verb)}"
    return {"@type": TYPE, "reason": reason, "domain": DOMAIN, "metadata": metadata}


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]
