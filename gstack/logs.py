"""Structured logs on standard error: one line an event, and never a secret.

Apart so that the web workers, the operations worker and the command line log alike. The surprising thing: values
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


def scrub(text: str) -> str:
    """``text`` with what follows the name of a secret, and every bearer token, replaced by stars."""
    return _BEARER.sub(r"\1 ***", _SECRET_NAMES.sub(r"\1\2***", text))


def configure(settings: Settings) -> None:
    """Send our events, and the standard library's, to standard error in the form that LOG_FORMAT names."""
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
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
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
    logging.getLogger("gstack").setLevel(level)


def _scrub_event(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    return {key: scrub(value) if isinstance(value, str) else value for key, value in event.items()}
