"""Operations and the names they hold: what operations.get, list and wait read, written by the engine and
the worker.

The workflow engine keeps tables of its own beside these; these exist because GCE's lists filter and page by
members that it does not know. The surprising thing: times are milliseconds since 1970 in UTC, which sort
and compare alike on every database.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from gstack.store.db import Model

PENDING, RUNNING, DONE = "PENDING", "RUNNING", "DONE"


class Operation(Model):
    """One operation. ``name`` is also the id of its workflow.

    ``scope`` is ``global``, ``regions/<region>`` or ``zones/<zone>``; ``target_link`` a link from
    ``projects/`` on; ``target_id`` a decimal string. ``error`` is what
    :func:`gstack.errors.operation_error` gives, ``warnings`` a list of GCE warnings. ``request_key`` is set
    while a repeated ``requestId`` is answered with this operation; ``request_hash`` tells a repeated
    request from another one. ``attempts`` counts how often a worker took it up. ``blocked`` says in words
    why it waits for an operator.
    """

    __tablename__ = "operation"
    __table_args__ = (
        Index("ix_operation_project_scope", "project", "scope", "insert_ms"),
        Index("ix_operation_project_scope_name", "project", "scope", "name"),
        Index("ix_operation_status_end", "status", "end_ms"),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(63), unique=True)
    project: Mapped[str] = mapped_column(String(255))
    scope: Mapped[str] = mapped_column(String(255))
    type: Mapped[str] = mapped_column(String(128))
    target_link: Mapped[str] = mapped_column(Text)
    user: Mapped[str] = mapped_column(String(320))
    insert_ms: Mapped[int] = mapped_column(BigInteger)
    workflow: Mapped[str] = mapped_column(String(255), default="")
    credential_id: Mapped[str] = mapped_column(String(36), default="")
    status: Mapped[str] = mapped_column(String(8), default=PENDING)
    progress: Mapped[int] = mapped_column(default=0)
    target_id: Mapped[str | None] = mapped_column(String(20), default=None)
    description: Mapped[str | None] = mapped_column(Text, default=None)
    start_ms: Mapped[int | None] = mapped_column(BigInteger, default=None)
    end_ms: Mapped[int | None] = mapped_column(BigInteger, default=None)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)
    warnings: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True), default=None)
    client_operation_id: Mapped[str | None] = mapped_column(String(64), default=None)
    operation_group_id: Mapped[str | None] = mapped_column(String(64), default=None, index=True)
    request_key: Mapped[str | None] = mapped_column(String(64), default=None, unique=True)
    request_hash: Mapped[str | None] = mapped_column(String(64), default=None)
    attempts: Mapped[int] = mapped_column(default=0)
    blocked: Mapped[str | None] = mapped_column(Text, default=None)


class Claim(Model):
    """A name that an operation under way holds: nobody else may take it until that operation is done.

    ``purpose`` is ``name`` for what is being created, ``exclusive`` for a target on which nothing else may
    run. The primary key is what refuses the second claim, whatever process it comes from.
    """

    __tablename__ = "claim"

    project: Mapped[str] = mapped_column(String(255), primary_key=True)
    scope: Mapped[str] = mapped_column(String(255), primary_key=True)
    collection: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(16), primary_key=True)
    operation: Mapped[str] = mapped_column(ForeignKey("operation.name", ondelete="CASCADE"), index=True)


class WorkerBeat(Model):
    """When each operations worker was last alive, by the database's clock in milliseconds."""

    __tablename__ = "worker_beat"

    executor: Mapped[str] = mapped_column(String(128), primary_key=True)
    seen_ms: Mapped[int] = mapped_column(BigInteger)
