"""Which store this is: what tells one gateway's marks in CloudStack from those of another with a database of its own.

Apart because it is written at most once. The surprising thing: who loses the database is another from then on.
"""

from __future__ import annotations

import secrets

from gstack.store import overlay

KIND, KEY = "store", "identity"


def known() -> str | None:
    """What this store is called; None as long as that was never asked of :func:`own`."""
    return overlay.read(KIND, KEY).get("id")


def own() -> str:
    """As :func:`known`, made by whoever asks first."""
    if known() is None:
        overlay.add(KIND, KEY, "", {"id": secrets.token_hex(8)})
    return str(known())
