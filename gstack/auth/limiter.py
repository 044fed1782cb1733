"""Failed attempts, counted in the store so that several processes share one count; successes cost nothing.

Apart because pairs, assertions and sign-in pages count alike. The surprising thing: the limit never stops a
pair or an assertion that gstack can prove right by itself, so nobody is locked out by somebody else's
guessing.
"""

from __future__ import annotations

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from gstack.peers import network
from gstack.store.credentials import FAILURE_WINDOW_SECONDS, FailedAttempt
from gstack.store.db import own_session

MOST_FAILURES = {"key": 10, "address": 50}


class TooManyFailures(Exception):
    """Too many wrong attempts; ``retry_after`` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many failed attempts. Try again in {retry_after} seconds.")
        self.retry_after = retry_after


def subjects(key_hash: str | None, address: str) -> tuple[str, ...]:
    """What is counted for one attempt: the key it was made with (hashed) and the network it came from."""
    counted = [f"address:{network(address)}"]
    if key_hash is not None:
        counted.append(f"key:{key_hash}")
    return tuple(counted)


def check(counted: tuple[str, ...], now: int) -> None:
    """Raises :class:`TooManyFailures` if one of the subjects has used up its failures."""
    with own_session() as session:
        rows = session.scalars(select(FailedAttempt).where(FailedAttempt.subject.in_(counted))).all()
    waits = [
        row.window_start + FAILURE_WINDOW_SECONDS - now
        for row in rows
        if row.count >= MOST_FAILURES[row.subject.partition(":")[0]]
    ]
    if waits and max(waits) > 0:
        raise TooManyFailures(max(waits))


def failed(counted: tuple[str, ...], now: int) -> None:
    """Count one failure for each subject; windows that have passed are thrown away. Raises :class:`TooManyFailures`
    for one too many: others may have failed since :func:`check`, side by side with this one."""
    with own_session() as session:
        session.execute(delete(FailedAttempt).where(FailedAttempt.window_start <= now - FAILURE_WINDOW_SECONDS))
        session.commit()
        counts = {subject: _count(session, subject, now) for subject in counted}
    if any(count > MOST_FAILURES[subject.partition(":")[0]] for subject, count in counts.items()):
        check(counted, now)


def _count(session: Session, subject: str, now: int) -> int:
    more = (
        update(FailedAttempt)
        .where(FailedAttempt.subject == subject)
        .values(count=FailedAttempt.count + 1)
        .returning(FailedAttempt.count)
    )
    found = session.execute(more).first()
    if found is None:
        try:
            session.add(FailedAttempt(subject=subject, window_start=now, count=1))
            session.flush()
        except IntegrityError:  # another process was first
            session.rollback()
            found = session.execute(more).first()
    session.commit()
    return int(found[0]) if found is not None else 1
