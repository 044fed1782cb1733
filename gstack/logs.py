"""Structured logs on standard error: one line an event, and never a secret.

Apart so that the web workers, the operations worker and the command line log alike: gstack's own events go through
structlog, and what libraries say through the standard library comes out in the same form. The surprising thing: values
are scrubbed on the way out as well, because a secret that slips into an exception's text must still not be printed.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import structlog
from structlog.types import EventDict, WrappedLogger

from gstack.settings import Settings

_SECRET_NAMES = re.compile(
    r"(?i)\b(secret(?:_?key)?|api_?key|signature|password|assertion|access_token|refresh_token|authorization)"
    r"(['\"]?\s*[=:]\s*['\"]?)(?:Bearer\s+|Basic\s+)?[^\s&'\",}]+"
)
_BEARER = re.compile(r"(?i)\b(Bearer|Basic)\s+[^\s'\"]+")
# What GCE calls things by: a label of RFC 1035, or a number. CloudStack's keys have capitals and 86 characters, a UUID
# fits as well.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def scrub(text: str) -> str:
    """``text`` with what follows the name of a secret, and every bearer token, replaced by stars."""
    return _BEARER.sub(r"\1 ***", _SECRET_NAMES.sub(r"\1\2***", text))


def shown_name(text: str) -> str:
    """``text``, which a client put where a name belongs, if it may be one; stars for a key or a token that was put
    there by mistake."""
    return text if _NAME.fullmatch(text) else "***"


def configure(settings: Settings) -> None:
    """Send our events, and those of libraries, to standard error in the form that LOG_FORMAT names. What is configured
    last holds for loggers that are in use already."""
    level = logging.getLevelNamesMapping()[settings["LOG_LEVEL"]]
    console = settings["LOG_FORMAT"] == "console"
    last: list[Any] = [structlog.processors.JSONRenderer()]
    if console:
        last = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _scrub_event,
    ]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # whatever that is by then
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *last,
            ],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))


def _scrub_event(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    return {key: scrub(value) if isinstance(value, str) else value for key, value in event.items()}
