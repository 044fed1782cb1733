"""The order of long lists, kept while a client turns their pages.

Apart from the overlay because nothing here is worth keeping: losing it costs a client nothing but the promise that a
row whose name changes meanwhile appears exactly once. The surprising thing: reading a list may write here, in a
transaction of its own, and goes on without where that fails.
"""

from __future__ import annotations

import secrets
import time

import structlog
from sqlalchemy import BigInteger, LargeBinary, String, delete, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, mapped_column

from gstack.store.db import Model, own_session

log = structlog.get_logger(__name__)


class PageSnapshot(Model):
    """One list. ``content`` is what the protocol made of it; ``expires_ms`` is Unix time."""

    __tablename__ = "page_snapshot"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    expires_ms: Mapped[int] = mapped_column(BigInteger, index=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class PageSnapshots:
    """What :class:`gstack.protocol.paging.Snapshots` asks for."""

    def keep(self, content: bytes, seconds: int) -> str | None:
        """The name under which ``content`` is found for ``seconds``; None where the store fails."""
        name, now = secrets.token_hex(8), int(time.time() * 1000)
        try:
            with own_session() as session, session.begin():
                session.execute(delete(PageSnapshot).where(PageSnapshot.expires_ms < now))
                session.add(PageSnapshot(name=name, expires_ms=now + seconds * 1000, content=content))
        except DBAPIError as error:
            log.warning("page_snapshot.not_kept", error=str(error.orig))
            return None
        return name

    def read(self, name: str) -> bytes | None:
        """What was kept under ``name``; None when its time is over."""
        live = (PageSnapshot.name == name) & (PageSnapshot.expires_ms >= int(time.time() * 1000))
        with own_session() as session:
            return session.scalar(select(PageSnapshot.content).where(live))
