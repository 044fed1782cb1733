"""One file a GCE collection; each binds its handlers to Google's method ids when it is imported."""

from __future__ import annotations

import importlib
import pkgutil


def load_handlers() -> None:
    """Import every resource file, which fills the table of handlers."""
    for module in pkgutil.iter_modules(__path__, __name__ + "."):
        importlib.import_module(module.name)
