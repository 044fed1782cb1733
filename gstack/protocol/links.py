"""Links to resources: how they are written in answers, and every way in which clients write them in requests.

Apart because host and prefix depend on the request while the path does not: what is stored and compared is
always the path from ``projects/`` on. The surprising thing: for hosts below googleapis.com, and for Terraform at
any host, links name www.googleapis.com, as Google's do; Ansible and Terraform compare them literally.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qs, unquote

from gstack.errors import GceError, invalid
from gstack.protocol.discovery import document

PREFIX = "/compute/v1"
GOOGLE = f"https://www.googleapis.com{PREFIX}"
# Terraform's provider takes a link to an image for one only where it begins so, and makes every instance anew whose
# configuration names an image family otherwise; it never follows a link.
COMPARES_LITERALLY = "terraform-provider-google"
PLAIN = re.compile(r"[^\x00-\x20\x7f/?#]{1,128}")
MALFORMED = "The URL is malformed."
NO_HOST = "The Host header of the request names no host."
PLACES = ("zones", "regions")


@dataclass(frozen=True)
class Links:
    """Absolute links below ``base`` (``https://host:port/compute/v1``, no trailing slash)."""

    base: str

    @classmethod
    def for_client(cls, scheme: str, host: str, agent: str = "") -> Links:
        """The links for a client ``agent`` (its User-Agent) that asked ``host`` (with its port). GceError 400 where
        that is empty, because the request named none."""
        if not host:
            raise GceError("badRequest", NO_HOST)
        name = host.rsplit(":", 1)[0].lower() if not host.endswith("]") else host
        if name == "googleapis.com" or name.endswith(".googleapis.com") or COMPARES_LITERALLY in agent:
            return cls(GOOGLE)
        return cls(f"{scheme}://{host}{PREFIX}")

    def absolute(self, path: str) -> str:
        """The link of a path that starts at ``projects/``."""
        return f"{self.base}/{path}"

    def project(self, project: str) -> str:
        """The link of a project."""
        return f"{self.base}/projects/{project}"

    def zone(self, project: str, zone: str) -> str:
        """The link of a zone."""
        return f"{self.base}/projects/{project}/zones/{zone}"

    def region(self, project: str, region: str) -> str:
        """The link of a region."""
        return f"{self.base}/projects/{project}/regions/{region}"


@dataclass(frozen=True)
class Reference:
    """A resource that a client named.

    ``scope`` is ``zones``, ``regions``, ``global`` or empty (projects, zones and regions themselves);
    ``scope_name`` the zone's or region's name. ``name`` is the last part as it was written, or the digits of a numeric
    id: those of ``?uniqueId=`` stand in place of the name beside it, which may be another resource's by now.
    ``family``: the newest image of that family is meant, ``name`` is empty then.
    """

    project: str
    scope: str
    scope_name: str | None
    collection: str
    name: str
    family: str | None = None

    @property
    def zone(self) -> str | None:
        """The zone's name, for a zonal resource."""
        return self.scope_name if self.scope == "zones" else None

    @property
    def region(self) -> str | None:
        """The region's name, for a regional resource."""
        return self.scope_name if self.scope == "regions" else None

    @property
    def path(self) -> str:
        """The path from ``projects/`` on."""
        if self.collection == "projects":
            return f"projects/{self.project}"
        place = [self.scope, self.scope_name or ""] if self.scope in PLACES else [self.scope]
        last = ["family", self.family] if self.family else [self.name]
        return "/".join(["projects", self.project, *(part for part in [*place, self.collection, *last] if part)])


def parse(
    reference: str,
    *,
    collection: str,
    project: str,
    field: str,
    zone: str | None = None,
    region: str | None = None,
) -> Reference:
    """Read ``reference`` as one of ``collection`` (``machineTypes``, ``images``, ``zones`` ...).

    Understands URLs of any host and prefix, paths from ``projects/`` or from the scope on,
    ``COLLECTION/NAME``, bare names, numeric ids, ``?uniqueId=``, and for images the three spellings of a
    family. What the reference leaves out comes from ``project``, ``zone`` and ``region``. GceError 400 naming
    ``field`` (``resource.machineType``) where it is anything else.
    """
    parts, number = _taken_apart(reference, field)
    if "projects" in parts:
        start = parts.index("projects")
        if len(parts) < start + 2:
            raise invalid(field, reference, MALFORMED)
        project, parts = parts[start + 1], parts[start + 2 :]
        if collection == "projects" and not parts:
            return Reference(project, "", None, "projects", project)
    if collection in ("projects", *PLACES):
        return _place(reference, collection, project, field, parts, number)
    scope, scope_name, rest = _scoped(parts)
    family, name = _last(rest, collection, scope)
    if not name and not family:
        raise invalid(field, reference, f"{MALFORMED} Must be a reference to {collection}.")
    if family:
        if number:
            raise invalid(field, reference, f"{MALFORMED} A family has no uniqueId.")
        return Reference(project, "global", None, "images", "", family)
    scope, scope_name = _chosen(scope, scope_name, collection, zone, region, field, reference)
    return Reference(project, scope, scope_name, collection, number or name)


@lru_cache(maxsize=1)
def scopes() -> dict[str, frozenset[str]]:
    """In which of ``zones``, ``regions`` and ``global`` each collection lives, by Google's URL rules."""
    found: dict[str, set[str]] = {}
    for method in document().methods.values():
        parts = method.path.split("/")
        if len(parts) > 5 and parts[2] in PLACES and parts[5].startswith("<"):
            found.setdefault(parts[4], set()).add(parts[2])
        elif len(parts) > 4 and parts[2] == "global" and parts[4].startswith("<"):
            found.setdefault(parts[3], set()).add("global")
    return {collection: frozenset(places) for collection, places in found.items()}


def _taken_apart(reference: str, field: str) -> tuple[list[str], str]:
    """The parts of the path, and the number that ``?uniqueId=`` has; "" without it."""
    # Not urlsplit: it takes the domain of a project (example.com:web) for a scheme.
    text, _, query = reference.strip().partition("#")[0].partition("?")
    parts = [unquote(part) for part in text.partition("://")[2 if "://" in text else 0].split("/") if part]
    rooted = "://" in text or text.startswith("/")
    if not parts or (rooted and "projects" not in parts) or not all(map(PLAIN.fullmatch, parts)):
        raise invalid(field, reference, MALFORMED)
    given = parse_qs(query).get("uniqueId", [""])[0]
    if given and not (given.isascii() and given.isdigit() and len(given) <= 20):
        raise invalid(field, reference, MALFORMED)
    return parts, given.lstrip("0")


def _place(reference: str, collection: str, project: str, field: str, parts: list[str], number: str) -> Reference:
    # Terraform writes projects/p/global/zones/z.
    rest = parts[1:] if parts[:1] == ["global"] else parts
    if rest[:1] == [collection]:
        rest = rest[1:]
    if len(rest) != 1:
        raise invalid(field, reference, f"{MALFORMED} Must be a reference to {collection}.")
    name = rest[0]
    if collection == "projects":
        return Reference(name, "", None, collection, name)
    return Reference(project, "", None, collection, number or name)


def _scoped(parts: list[str]) -> tuple[str | None, str | None, list[str]]:
    if parts[:1] == ["global"]:
        return "global", None, parts[2:] if parts[1:2] == ["global"] else parts[1:]
    if len(parts) > 2 and parts[0] in PLACES:
        return parts[0], parts[1], parts[2:]
    return None, None, parts


def _last(rest: list[str], collection: str, scope: str | None) -> tuple[str | None, str]:
    if collection == "images" and len(rest) > 1:
        family = rest[1:] if rest[0] == "images" else rest
        if len(family) == 2 and family[0] in ("family", "imageFamilyViews"):
            return family[1], ""
    if len(rest) == 2 and rest[0] == collection:
        return None, rest[1]
    if len(rest) == 1 and scope is None:
        return None, rest[0]
    return None, ""


def _chosen(
    scope: str | None,
    scope_name: str | None,
    collection: str,
    zone: str | None,
    region: str | None,
    field: str,
    reference: str,
) -> tuple[str, str | None]:
    possible = scopes().get(collection, frozenset())
    if scope is not None:
        if scope not in possible:
            raise invalid(field, reference, f"{MALFORMED} {collection} are not found in {scope}.")
        return scope, scope_name
    if zone and "zones" in possible:
        return "zones", zone
    if region and "regions" in possible:
        return "regions", region
    if "global" in possible:
        return "global", None
    raise invalid(field, reference, f"{MALFORMED} The zone or region of {collection} is missing.")
