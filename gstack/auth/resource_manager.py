"""Cloud Resource Manager's projects, as far as clients of Compute Engine ask for them: get and list.

Apart from the compute resources because it is another API. Without it ``gcloud config set project`` asks Google,
waits half a minute and fails. The surprising thing: there is nothing to look up, for what a credential reaches is
all there is.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson
from flask import Blueprint, Flask, Response, request

from gstack.auth import audit
from gstack.auth.guard import Gatekeeper
from gstack.errors import GceError
from gstack.protocol import pipeline
from gstack.protocol.ids import numeric_id
from gstack.translate.caller import Project


def register(app: Flask, guard: Gatekeeper) -> None:
    """Add ``/v1/projects`` to ``app``."""
    blueprint = Blueprint("resource_manager", __name__)
    blueprint.add_url_rule("/v1/projects", "list", partial(_list, guard), methods=["GET"])
    blueprint.add_url_rule("/v1/projects/<project>", "get", partial(_get, guard), methods=["GET"])
    app.register_blueprint(blueprint)


def _list(guard: Gatekeeper) -> Response:
    try:
        grant = guard.authenticate(request.headers, request.args)
        found = guard.reachable(grant)
    except GceError as error:
        return _refused("cloudresourcemanager.projects.list", error)
    audit.answered("cloudresourcemanager.projects.list", 200)
    return _json({"projects": [view(project, grant.identity.account_id) for project in found]})


def _get(guard: Gatekeeper, project: str) -> Response:
    try:
        grant = guard.authenticate(request.headers, request.args)
        caller = guard.enter(grant, project)
    except GceError as error:
        return _refused("cloudresourcemanager.projects.get", error)
    audit.answered("cloudresourcemanager.projects.get", 200)
    return _json(view(caller.project, grant.identity.account_id))


def view(project: Project, account_id: str) -> dict[str, Any]:
    """A project as Resource Manager v1 shows it."""
    return {
        "projectNumber": str(numeric_id(project.cloudstack_id or account_id)),
        "projectId": project.id,
        "lifecycleState": "ACTIVE",
        "name": project.name,
    }


def _refused(method: str, error: GceError) -> Response:
    audit.answered(method, error.http)
    return pipeline.write_error(error)


def _json(body: dict[str, Any]) -> Response:
    response = Response(orjson.dumps(body), 200, content_type="application/json; charset=UTF-8")
    response.headers["Cache-Control"] = "private"
    return response
