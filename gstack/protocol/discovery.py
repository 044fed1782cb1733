"""Google's description of the compute v1 API, read from ``gstack/data/discovery.json.gz``.

Apart because everything in this room is driven by it and nothing in it is code: ``tools/update_discovery.py``
makes the file, ``gstack/data/discovery_patches.json`` holds the deviations. The surprising thing: a member is
marked ``readOnly`` there even where Google's document says so only in prose.
"""

from __future__ import annotations

import copy
import gzip
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import orjson

Schema = Mapping[str, Any]

SCOPES = {"zones": "zone", "regions": "region", "global": "global", "aggregated": "aggregated"}
SERVED = "The methods of the Compute Engine API that this gateway serves."
HOLE = re.compile(r"\{(\+?)([^}]+)\}")  # in a path as Google writes it
PLACEHOLDER = re.compile(r"<(?:path:)?([^>]+)>")  # in Method.path, which is Flask's


@dataclass(frozen=True, eq=False)
class Method:
    """One method of the API.

    ``id`` is ``compute.instances.insert``, ``resource`` and ``verb`` its last two parts. ``path`` is the
    Flask rule below ``/compute/v1/``, without a leading slash. ``parameters`` maps each discovery name, the
    global ones included, to its description. ``request`` and ``response`` are schema names or None, ``kind``
    is what the answer carries (``compute#instanceList``) or None. ``scope`` is ``zone``, ``region``,
    ``global``, ``aggregated``, ``project`` (projects, zones and regions themselves) or None (what lies
    outside of projects).
    """

    id: str
    resource: str
    verb: str
    http_method: str
    path: str
    parameters: Mapping[str, Schema]
    request: str | None
    response: str | None
    kind: str | None
    scope: str | None


@dataclass(frozen=True, eq=False)
class Document:
    """The whole description: methods by id, schemas by name, and the document itself as Google shapes it."""

    methods: Mapping[str, Method]
    schemas: Mapping[str, Schema]
    raw: Mapping[str, Any]

    @property
    def revision(self) -> str:
        """The day of Google's revision, ``20261106``."""
        return str(self.raw["revision"])


@lru_cache(maxsize=1)
def document() -> Document:
    """The document, read once a process."""
    packed = resources.files("gstack").joinpath("data", "discovery.json.gz").read_bytes()
    raw: dict[str, Any] = orjson.loads(gzip.decompress(packed))
    schemas: dict[str, Schema] = raw["schemas"]
    methods = {
        found["id"]: _method(found, resource, verb, raw["parameters"], schemas)
        for resource, verb, found in _described(raw["resources"])
    }
    return Document(methods, schemas, raw)


def served_document(root_url: str, method_ids: Collection[str], version: str = "v1") -> dict[str, Any]:
    """A discovery document of ``method_ids`` only, whose URLs lie below ``root_url`` (``https://host:port``).

    Holds the schemas those methods reach. ``version``: v1, or beta or alpha, which have the same methods below their
    own paths. Raises KeyError for an unknown method id.
    """
    whole = document()
    wanted = {whole.methods[method_id].id for method_id in method_ids}
    root = root_url.rstrip("/") + "/"
    served = {key: value for key, value in whole.raw.items() if key not in ("resources", "schemas")}
    served |= {
        "rootUrl": root,
        "baseUrl": f"{root}compute/{version}/",
        "id": f"compute:{version}",
        "version": version,
        "basePath": f"/compute/{version}/",
        "servicePath": f"compute/{version}/",
        "batchPath": f"batch/compute/{version}",
        "description": SERVED,
        "auth": _described_scopes(whole.raw["auth"]),
        "resources": _kept(whole.raw["resources"], wanted),
        "schemas": {name: whole.schemas[name] for name in sorted(_reached(wanted))},
    }
    return copy.deepcopy(served)


def directory(root_url: str, versions: Iterable[str]) -> dict[str, Any]:
    """The list of APIs that lie below ``root_url``: this one, once for each of ``versions``.

    Source: https://developers.google.com/discovery/v1/reference/apis/list
    """
    items = [
        {
            "kind": "discovery#directoryItem",
            "id": f"compute:{version}",
            "name": "compute",
            "version": version,
            "title": document().raw["title"],
            "description": SERVED,
            "discoveryRestUrl": f"{root_url}/discovery/v1/apis/compute/{version}/rest",
            "documentationLink": "https://cloud.google.com/compute/",
            "preferred": version == "v1",
        }
        for version in versions
    ]
    return {"kind": "discovery#directoryList", "discoveryVersion": "v1", "items": items}


def resolved(schema: Schema) -> Schema:
    """``schema``, or the one that it refers to."""
    while "$ref" in schema:
        schema = document().schemas[schema["$ref"]]
    return schema


def references(schema: Schema) -> Iterator[str]:
    """The names of the schemas that ``schema`` refers to, at any depth of its own."""
    if "$ref" in schema:
        yield schema["$ref"]
    for member in schema.get("properties", {}).values():
        yield from references(member)
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from references(schema[key])


def _described(tree: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for resource, node in tree.items():
        for verb, found in node.get("methods", {}).items():
            yield resource, verb, found
        yield from _described(node.get("resources", {}))


def _method(
    found: dict[str, Any], resource: str, verb: str, common: dict[str, Schema], schemas: Mapping[str, Schema]
) -> Method:
    response = found.get("response", {}).get("$ref")
    kind = schemas[response].get("properties", {}).get("kind", {}).get("default") if response else None
    return Method(
        id=found["id"],
        resource=resource,
        verb=verb,
        http_method=found["httpMethod"],
        path=HOLE.sub(_converter, found["path"]),
        parameters=common | found.get("parameters", {}),
        request=found.get("request", {}).get("$ref"),
        response=response,
        kind=kind,
        scope=_scope(found["path"]),
    )


def _converter(hole: re.Match[str]) -> str:
    # {+name} is RFC 6570's reserved expansion: the value holds slashes.
    return f"<path:{hole[2]}>" if hole[1] else f"<{hole[2]}>"


def _scope(path: str) -> str | None:
    parts = path.split("/")
    if parts[0] != "projects":
        return None
    word = parts[2] if len(parts) > 2 else ""
    if word in ("zones", "regions") and len(parts) < 5:
        return "project"
    return SCOPES.get(word, "project")


def _described_scopes(auth: Mapping[str, Any]) -> dict[str, Any]:
    scopes = auth["oauth2"]["scopes"]
    return {"oauth2": {"scopes": {scope: {"description": scope.rsplit("/", 1)[-1]} for scope in scopes}}}


def _kept(tree: Mapping[str, Any], wanted: set[str]) -> dict[str, Any]:
    kept = {}
    for resource, node in tree.items():
        methods = {verb: found for verb, found in node.get("methods", {}).items() if found["id"] in wanted}
        if methods:
            kept[resource] = {"methods": methods}
    return kept


def _reached(method_ids: Collection[str]) -> set[str]:
    whole = document()
    pending = [
        name
        for method_id in method_ids
        for name in (whole.methods[method_id].request, whole.methods[method_id].response)
        if name
    ]
    reached: set[str] = set()
    while pending:
        name = pending.pop()
        if name not in reached:
            reached.add(name)
            pending.extend(references(whole.schemas[name]))
    return reached
