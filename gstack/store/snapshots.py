"""The order of long lists, kept while a client turns their pages.

Apart from the overlay because nothing here is worth keeping: losing it costs a client nothing but the promise that a
row whose name changes meanwhile appears exactly once. The surprising thing: reading a list may write here, in a
transaction of its own, and goes on without where that fails; one that is read again and again is written once.
"""

from __future__ import annotations

import hashlib
import time

import structlog
from sqlalchemy import BigInteger, LargeBinary, String, delete, or_, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, Session, mapped_column

from gstack.store.db import Model, own_session

log = structlog.get_logger(__name__)

EACH = 32  # lists that one client may have kept at a time


class PageSnapshot(Model):
    """A list of a credential, ``owner``. ``content`` is what the protocol made of it; ``expires_ms`` is Unix time."""

    __tablename__ = "page_snapshot"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    expires_ms: Mapped[int] = mapped_column(BigInteger, index=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    owner: Mapped[str] = mapped_column(String(36), default="", index=True)


class PageSnapshots:
    """What :class:`gstack.protocol.paging.Snapshots` asks for."""

    def keep(self, owner: str, content: bytes, seconds: int) -> str | None:
        """The name under which ``content`` is found for at least ``seconds``; None where the store fails. What
        ``owner`` had kept before the last :data:`EACH` is forgotten."""
        name = hashlib.blake2b(content, digest_size=16, key=owner.encode()[:64]).hexdigest()
        now = int(time.time() * 1000)
        try:
            with own_session() as session:
                expires = session.scalar(select(PageSnapshot.expires_ms).where(PageSnapshot.name == name))
                if expires is not None and expires >= now + seconds * 1000:
                    return name
            with own_session() as session, session.begin():
                _forget(session, owner, now)
                # Twice as long, so that a client which begins it again need not write again each time.
                session.merge(PageSnapshot(name, now + 2 * seconds * 1000, content, owner))
        except DBAPIError as error:
            log.warning("page_snapshot.not_kept", error=str(error.orig))
            return None
        return name

    def read(self, name: str) -> bytes | None:
        """What was kept under ``name``; None when its time is over."""
        live = (PageSnapshot.name == name) & (PageSnapshot.expires_ms >= int(time.time() * 1000))
        with own_session() as session:
            return session.scalar(select(PageSnapshot.content).where(live))


def _forget(session: Session, owner: str, now: int) -> None:
    """Make room for one more: what has expired goes, and what the owner had kept first."""
    newest = select(PageSnapshot.name).where(PageSnapshot.owner == owner).order_by(PageSnapshot.expires_ms.desc())
    old = session.scalars(newest.offset(EACH - 1)).all()
    session.execute(delete(PageSnapshot).where(or_(PageSnapshot.expires_ms < now, PageSnapshot.name.in_(old))))
