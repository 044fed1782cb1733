"""Every error a client can meet: one table of kinds, one exception, one renderer.

Lives at the bottom of the import order so that every room can raise it. Nothing else in gstack builds an error
body; the pipeline catches :class:`GceError` once and calls :func:`error_body`.

Source of the shapes: https://cloud.google.com/compute/docs/api/errors and the recorded answers of GCE.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """How one reason of GCE's is answered.

    ``http`` is the status code, ``status`` the google.rpc.Code name that gcloud prints, ``operation`` the code
    that stands in ``error.errors[].code`` of a failed operation, ``domain`` what stands in ``errors[].domain``.
    """

    http: int
    status: str
    operation: str
    domain: str = "global"


KINDS: dict[str, Kind] = {
    "invalid": Kind(400, "INVALID_ARGUMENT", "INVALID_FIELD_VALUE"),
    "required": Kind(400, "INVALID_ARGUMENT", "REQUIRED"),
    "badRequest": Kind(400, "INVALID_ARGUMENT", "INVALID_USAGE"),
    "parseError": Kind(400, "INVALID_ARGUMENT", "INVALID_USAGE"),
    "unsupported": Kind(400, "INVALID_ARGUMENT", "UNSUPPORTED_OPERATION"),
    "memberAlreadyExists": Kind(400, "INVALID_ARGUMENT", "MEMBER_ALREADY_EXISTS"),
    "failedPrecondition": Kind(400, "FAILED_PRECONDITION", "FAILED_PRECONDITION"),
    "resourceNotReady": Kind(400, "FAILED_PRECONDITION", "RESOURCE_NOT_READY"),
    "resourceInUseByAnotherResource": Kind(400, "FAILED_PRECONDITION", "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE"),
    "authError": Kind(401, "UNAUTHENTICATED", "UNAUTHENTICATED"),
    "forbidden": Kind(403, "PERMISSION_DENIED", "PERMISSIONS_ERROR"),
    "quotaExceeded": Kind(403, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "usageLimits"),
    "notFound": Kind(404, "NOT_FOUND", "RESOURCE_NOT_FOUND"),
    "methodNotAllowed": Kind(405, "INVALID_ARGUMENT", "INVALID_USAGE"),
    "requestTimeout": Kind(408, "DEADLINE_EXCEEDED", "TIMEOUT"),
    "alreadyExists": Kind(409, "ALREADY_EXISTS", "RESOURCE_ALREADY_EXISTS"),
    "conflict": Kind(409, "ABORTED", "RESOURCE_OPERATION_RATE_EXCEEDED"),
    "conditionNotMet": Kind(412, "FAILED_PRECONDITION", "CONDITION_NOT_MET"),
    "uploadTooLarge": Kind(413, "INVALID_ARGUMENT", "INVALID_USAGE"),
    "rateLimitExceeded": Kind(429, "RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED", "usageLimits"),
    "internalError": Kind(500, "INTERNAL", "INTERNAL_ERROR"),
    "notImplemented": Kind(501, "UNIMPLEMENTED", "UNSUPPORTED_OPERATION"),
    "backendError": Kind(503, "UNAVAILABLE", "INTERNAL_ERROR"),
    "stockout": Kind(503, "UNAVAILABLE", "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS"),
}

# What GCE writes into httpErrorMessage of a failed operation: the reason phrase in capitals.
PHRASES = {
    400: "BAD REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT FOUND",
    405: "METHOD NOT ALLOWED",
    408: "REQUEST TIMEOUT",
    409: "CONFLICT",
    412: "PRECONDITION FAILED",
    413: "PAYLOAD TOO LARGE",
    429: "TOO MANY REQUESTS",
    500: "INTERNAL SERVER ERROR",
    501: "NOT IMPLEMENTED",
    503: "SERVICE UNAVAILABLE",
}


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a request: the field's path (``disks[0].source``) and a whole sentence."""

    message: str
    location: str | None = None
    kind: str | None = None
    location_type: str = "parameter"


class GceError(Exception):
    """An answer that is an error.

    ``kind`` is a key of :data:`KINDS`, ``message`` a whole sentence that names the resource or field (it is all
    gcloud prints). ``location`` is the path of the field at fault. ``problems`` holds all of them where there are
    several. ``retry_after`` is in seconds. ``details`` are google.rpc detail objects.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        location: str | None = None,
        problems: tuple[Problem, ...] = (),
        details: tuple[dict[str, Any], ...] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.problems = problems or (Problem(message, location),)
        self.details = details
        self.retry_after = retry_after
        self.rule = KINDS[kind]

    @property
    def http(self) -> int:
        """The HTTP status code."""
        return self.rule.http


def not_found(path: str) -> GceError:
    """GCE's sentence for what does not exist; ``path`` starts at ``projects/``."""
    return GceError("notFound", f"The resource '{path}' was not found")


def already_exists(path: str) -> GceError:
    """GCE's sentence for a name that is taken; ``path`` starts at ``projects/``."""
    return GceError("alreadyExists", f"The resource '{path}' already exists")


def in_use(path: str, user: str, location: str | None = None) -> GceError:
    """GCE's sentence for what cannot be deleted because of ``user``; ``path`` starts at ``projects/``."""
    collection = path.split("/")[-2]
    kind = collection.removesuffix("es" if collection.endswith("sses") else "s")
    message = f"The {kind} resource '{path}' is already being used by {user}"
    return GceError("resourceInUseByAnotherResource", message, location=location)


def not_ready(path: str, why: str = "") -> GceError:
    """GCE's sentence for a resource in a state that forbids the request, and the reason where we know one; ``path``
    starts at ``projects/``."""
    message = f"The resource '{path}' is not ready"
    return GceError("resourceNotReady", f"{message}: {why}" if why else message)


def invalid(location: str, value: object, why: str) -> GceError:
    """A field's value that cannot be accepted, in GCE's words: the field, the value and the reason."""
    return GceError("invalid", f"Invalid value for field '{location}': '{value}'. {why}", location=location)


def required(location: str, why: str = "") -> GceError:
    """GCE's sentence for a field that is missing, and the reason where that is our own."""
    message = f"Required field '{location}' not specified"
    return GceError("required", f"{message}: {why}" if why else message, location=location)


def error_body(error: GceError) -> dict[str, Any]:
    """The JSON that GCE answers: code, message, errors[domain, reason, message, location], status, details."""
    entries: list[dict[str, Any]] = []
    for problem in error.problems:
        kind = problem.kind or error.kind
        entry = {"message": problem.message, "domain": KINDS[kind].domain, "reason": kind}
        if problem.location is not None:
            entry |= {"locationType": problem.location_type, "location": problem.location}
        entries.append(entry)
    body: dict[str, Any] = {
        "code": error.http,
        "message": error.message,
        "errors": entries,
        "status": error.rule.status,
    }
    if error.details:
        body["details"] = list(error.details)
    return {"error": body}


def operation_error(error: GceError) -> dict[str, Any]:
    """The members that a failed operation carries: ``error``, ``httpErrorStatusCode``, ``httpErrorMessage``."""
    entry: dict[str, Any] = {"code": error.rule.operation, "message": error.message}
    if error.problems[0].location is not None:
        entry["location"] = error.problems[0].location
    if error.details:
        entry["errorDetails"] = list(error.details)
    return {
        "error": {"errors": [entry]},
        "httpErrorStatusCode": error.http,
        "httpErrorMessage": PHRASES[error.http],
    }
