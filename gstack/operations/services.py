"""How the worker reaches CloudStack for whoever started an operation: from the store, with the settings.

Apart from :mod:`runtime` so that tests can put something else in its place. The surprising thing:
operations outlive credentials, so besides the one that started an operation, every live one of the same
account may finish it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import structlog
from flask import Flask
from sqlalchemy import or_, select

from gstack.cloudstack.catalogue import Catalogue
from gstack.cloudstack.client import Cloud, Endpoint
from gstack.operations.runtime import Services
from gstack.settings import Settings
from gstack.store.credentials import Credential
from gstack.store.db import own_session
from gstack.store.operations import Operation
from gstack.store.sealing import Sealer, Unsealable
from gstack.translate.caller import Project

log = structlog.get_logger(__name__)


def services(app: Flask, settings: Settings) -> Services:
    """The real thing. Raises SettingsError where the settings name keys or certificates that cannot be
    used.
    """
    sealer = Sealer(settings)
    endpoint = Endpoint(settings)

    def cloud_for(credential_id: str, project: Project) -> Cloud | None:
        with app.app_context(), own_session() as session:
            row = session.get(Credential, credential_id)
            if row is None or row.revoked_at is not None:
                return None
            try:
                owner, api_key, secret_key = json.loads(sealer.open(row.sealed_keys))
            except (Unsealable, ValueError):
                log.error("credential.unreadable", credential=row.id)
                return None
            if owner != row.id:
                return None
            return endpoint.cloud(api_key, secret_key, key=row.account_id, projectid=project.cloudstack_id)

    def others(credential_id: str, project: Project) -> Sequence[str]:
        with app.app_context(), own_session() as session:
            own = session.get(Credential, credential_id)
            used = select(Operation.credential_id).where(Operation.project == project.id)
            related = or_(Credential.id.in_(used), Credential.account_id == (own.account_id if own else None))
            query = select(Credential.id).where(
                related, Credential.revoked_at.is_(None), Credential.id != credential_id
            )
            return session.scalars(query.order_by(Credential.verified_at.desc())).all()

    return Services(cloud_for, others, Catalogue(settings), sealer)
