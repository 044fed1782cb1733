"""The application: reads as a table of contents.

Everything that a request can reach is registered here and nowhere else.
"""

from __future__ import annotations

import os
from functools import partial

from flask import Blueprint, Flask, Response

from gstack import logs, metrics
from gstack.auth import oauth
from gstack.auth.guard import Gatekeeper
from gstack.cloudstack.catalogue import Catalogue
from gstack.cloudstack.client import Endpoint
from gstack.operations import engine
from gstack.protocol import edges, paging, pipeline, transport
from gstack.protocol.discovery import document
from gstack.protocol.pathforms import VERB_ALIASES, HostRequest, MatchedRule, PathForms
from gstack.resources import load_handlers
from gstack.settings import Settings
from gstack.store import overlay
from gstack.store.db import open_store
from gstack.store.sealing import Sealer
from gstack.store.snapshots import PageSnapshots


def create_app(settings: Settings) -> Flask:
    """One gateway: the store, the way to CloudStack, the guard, and every route."""
    os.umask(0o077)
    logs.configure(settings)
    app = Flask("gstack", static_folder=None)
    app.url_rule_class = MatchedRule
    app.request_class = HostRequest
    app.config["MAX_CONTENT_LENGTH"] = edges.LARGEST

    open_store(app, settings)
    sealer = Sealer(settings)
    endpoint = Endpoint(settings)
    catalogue = Catalogue(settings)
    guard = Gatekeeper(settings, endpoint, catalogue, sealer)
    overlay.init_app(app, sealer)
    engine.init_app(app, settings, sealer)
    paging.init_app(app, partial(sealer.derive, "page tokens"), PageSnapshots())

    load_handlers()
    oauth.register(app, guard)
    register_methods(app, guard)
    edges.register(app, settings["OPERATION_HOLD_SECONDS"])
    metrics.register(app, engine.by_state, settings)
    transport.register(app, settings["GSTACK_CORS_ORIGINS"])
    app.wsgi_app = PathForms(app.wsgi_app, over_tls=settings.tls_ends_before)  # type: ignore[method-assign]  # Flask's documented way
    return app


def register_methods(app: Flask, guard: pipeline.Guard) -> None:
    """A blueprint for each of Google's resources, a rule for each of its methods, served or not."""
    blueprints: dict[str, Blueprint] = {}
    for method in document().methods.values():
        blueprint = blueprints.setdefault(method.resource, Blueprint(method.resource, "gstack"))
        blueprint.add_url_rule(
            "/compute/v1/" + method.path,
            endpoint=method.verb,
            view_func=partial(_view, method.id, guard),
            methods=[method.http_method, *VERB_ALIASES.get(method.id, ())],
            provide_automatic_options=False,
        )
    for blueprint in blueprints.values():
        app.register_blueprint(blueprint)


def _view(method_id: str, guard: pipeline.Guard, **path: str) -> Response:
    return pipeline.answer(document().methods[method_id], path, guard, engine.repeated)
