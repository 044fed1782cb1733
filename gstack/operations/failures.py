"""Errors on their way through a workflow: what a step records of one, and what comes out again.

Apart because the workflow engine records results as JSON and gives back exceptions as strangers. The
surprising thing: a step never raises into the engine; it records its error as its result, so that a run
that is resumed meets the very error that the first run met.
"""

from __future__ import annotations

import traceback
from dataclasses import asdict
from typing import Any

from gstack.errors import KINDS, GceError, Problem

HIDDEN = 530  # what CloudStack answers to users for most things that go wrong inside of it


class Stopping(BaseException):
    """The worker is going down: leave the workflow where it stands, to be resumed by the next worker.

    No Exception, so that neither a workflow nor the engine records it as a result.
    """


class OperationFailed(GceError):
    """What a step, a command or a CloudStack job failed with, as workflows see it.

    Besides what every GceError has: ``code``, ``cscode``, ``text`` and ``command`` are CloudStack's and
    None where CloudStack had no part in it.
    """

    code: int | None = None
    cscode: int | None = None
    text: str | None = None
    command: str | None = None


CLOUDSTACK_MEMBERS = ("code", "cscode", "text", "command")


def pack(error: GceError) -> dict[str, Any]:
    """``error`` as JSON."""
    packed: dict[str, Any] = {
        "kind": error.kind,
        "message": error.message,
        "problems": [asdict(problem) for problem in error.problems],
        "details": list(error.details),
    }
    for member in CLOUDSTACK_MEMBERS:
        value = getattr(error, member, None)
        if isinstance(value, int | str):
            packed[member] = value
    return packed


def unpack(packed: dict[str, Any]) -> OperationFailed:
    """The error that :func:`pack` was given."""
    kind = packed["kind"] if packed["kind"] in KINDS else "internalError"
    error = OperationFailed(
        kind,
        packed["message"],
        problems=tuple(Problem(**problem) for problem in packed["problems"]),
        details=tuple(packed["details"]),
    )
    for member in CLOUDSTACK_MEMBERS:
        setattr(error, member, packed.get(member))
    return error


def reworded(error: GceError, message: str) -> GceError:
    """``error`` with another sentence."""
    return unpack(pack(error) | {"message": message})


def internal(operation: str) -> GceError:
    """What a client sees of a defect of ours."""
    return GceError("internalError", f"Internal error. The gateway's log names it under {operation}.")


def where(error: BaseException) -> list[str]:
    """The frames an exception came through, for the log. Its own words stay out: they may hold secrets."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
