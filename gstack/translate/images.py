"""Images: CloudStack's templates sorted into the image projects and families that GCE's clients ask for.

Apart because instances, disks and images all resolve
``projects/debian-cloud/global/images/family/debian-12``. The surprising thing is who may fill a public
project: only templates that an administrator featured, or named in the setting IMAGE_PROJECTS by id. A
tenant can publish a community template of any name, so those appear in a project named after their owner
and never resolve a family. Rules are in gstack/data/image_families.json.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any

import orjson

from gstack.cloudstack.errors import CloudStackError
from gstack.errors import invalid, not_found
from gstack.protocol.ids import numbered, numeric_id
from gstack.protocol.links import parse
from gstack.settings import Settings
from gstack.store import overlay
from gstack.translate.caller import Caller
from gstack.translate.names import gce_names, label
from gstack.translate.tags import own_values
from gstack.translate.volumes import gib

Row = Mapping[str, Any]

KIND = "images"  # GCE's collection, and the store's kind of what is remembered of templates
# gstack's marks on templates. CloudStack does not know the size of a template that was made of a snapshot.
FAMILY, DEPRECATED, SIZE = "family", "deprecated", "size-gb"

_INTERNAL_TYPES = {"SYSTEM", "ROUTING"}  # templates of CloudStack's own machines
_UNFIT_FOR_FAMILY_TYPES = {"VNF"}
_ANY_OS = ("Other (64-bit)", "Other Linux (64-bit)", "Other PV (64-bit)")
_OUT_OF_FAMILY = {"DEPRECATED", "OBSOLETE", "DELETED"}
_OUT_OF_USE = _OUT_OF_FAMILY - {"DEPRECATED"}


@dataclass(frozen=True)
class Image:
    """One template as an image of one project. ``families`` holds the family it shows, then others it
    answers to.

    ``row`` is one of the template's rows (it has one for each zone); ``zoneids`` are CloudStack's ids of
    the zones it is ready in. ``rank`` orders the candidates of a family: the greatest is taken. ``state`` is
    that of its deprecation, or None; a family resolves to no image that has one.
    """

    name: str
    project: str
    row: Row
    zoneids: frozenset[str]
    families: tuple[str, ...] = ()
    rank: tuple[Any, ...] = ()
    state: str | None = None

    @property
    def id(self) -> str:
        """CloudStack's UUID of the template."""
        return str(self.row["id"])

    @property
    def number(self) -> int:
        """GCE's numeric id."""
        return numeric_id(self.id)

    @property
    def path(self) -> str:
        """The link from ``projects/`` on."""
        return f"projects/{self.project}/global/images/{self.name}"

    @property
    def family(self) -> str | None:
        """The family that the image shows."""
        return self.families[0] if self.families else None


class Images:
    """Every image that one caller may use, by project."""

    def __init__(self, images: Iterable[Image]) -> None:
        self._projects: dict[str, dict[str, Image]] = {}
        self._templates: dict[str, Image] = {}
        for image in sorted(images, key=lambda image: image.name):
            self._projects.setdefault(image.project, {})[image.name] = image
            self._templates[image.id] = image

    @property
    def projects(self) -> frozenset[str]:
        """Projects that hold an image."""
        return frozenset(self._projects)

    def listed(self, project: str) -> tuple[Image, ...]:
        """The images of a project in order of name."""
        return tuple(self._projects.get(project, {}).values())

    def get(self, project: str, name: str) -> Image | None:
        """The image of that name, or number."""
        return self._projects.get(project, {}).get(name) or numbered(name, self.listed(project))

    def newest(self, project: str, family: str, zoneid: str | None = None) -> Image | None:
        """What a family resolves to: its newest image that is ready (in that zone, where one is given)."""
        fit = [
            image
            for image in self.listed(project)
            if family in image.families
            and image.state is None
            and image.zoneids
            and (zoneid is None or zoneid in image.zoneids)
        ]
        return max(fit, key=lambda image: image.rank, default=None)

    def of_template(self, templateid: str) -> Image | None:
        """The image that a CloudStack template is."""
        return self._templates.get(templateid)


@dataclass(frozen=True)
class _Template:
    """A template's rows, one for each zone, as one."""

    row: Row
    zoneids: frozenset[str]
    created: str

    @property
    def id(self) -> str:
        return str(self.row["id"])

    @property
    def name(self) -> str:
        return str(self.row.get("name", ""))


@dataclass(frozen=True)
class _Placed:
    """A template with its project; its name there is found once the whole project is known."""

    template: _Template
    project: str
    families: tuple[str, ...] = ()
    by_name: bool = False
    state: str | None = None


@dataclass(frozen=True)
class _Rule:
    pattern: re.Pattern[str]
    project: str
    families: tuple[str, ...]


@cache
def _table() -> tuple[frozenset[str], tuple[_Rule, ...]]:
    table = orjson.loads(resources.files("gstack").joinpath("data/image_families.json").read_bytes())
    rules = tuple(
        _Rule(re.compile(rule["pattern"]), rule["project"], (rule["family"], *rule.get("aliases", ())))
        for rule in table["rules"]
    )
    return frozenset(table["projects"]), rules


# Every public image project that a known client asks for; each answers, possibly with nothing.
PUBLIC_PROJECTS: frozenset[str] = _table()[0]


def public_projects(settings: Settings) -> frozenset[str]:
    """PUBLIC_PROJECTS and those that the setting IMAGE_PROJECTS names."""
    return PUBLIC_PROJECTS | {place.partition("/")[0] for place in settings["IMAGE_PROJECTS"].values()}


def of_caller(caller: Caller, *, refresh: bool = False, own: bool = False) -> Images:
    """The images the caller may use: public ones, and those of its own project. ``refresh`` asks CloudStack again for
    all of them, ``own`` for those that are the caller's to change."""

    def templates(templatefilter: str) -> tuple[Row, ...]:
        again = refresh or (own and templatefilter == "self")
        try:
            return caller.catalogue.templates(caller.cloud, templatefilter, refresh=again)
        except CloudStackError as error:
            if templatefilter == "community" and error.code == 431:  # CloudStack before 4.18
                return ()
            raise

    return sort_templates(
        featured=templates("featured"),
        # A public project has no images of the caller's own.
        own=() if caller.project.public else templates("self"),
        shared=() if caller.project.public else templates("sharedexecutable"),
        community=templates("community"),
        project=caller.project.id,
        overrides=caller.settings["IMAGE_PROJECTS"],
    )


def find(caller: Caller, look: Callable[[Images], Image | None]) -> Image | None:
    """``look`` at the caller's images; when it finds nothing, or one that the caller may have changed meanwhile
    through another process, ask CloudStack again and look once more."""
    found = look(of_caller(caller))
    if found is None:
        return look(of_caller(caller, refresh=True))
    return look(of_caller(caller, own=True)) if found.project == caller.project.id else found


def referenced(caller: Caller, given: str, where: str, alias: str, zoneid: str | None = None) -> Image:
    """The image, or the newest of the family (in a zone, where one is given), that a client named in field ``where``,
    to make something of it. ``alias`` is the project as the client wrote it. Raises GceError notFound for a family,
    invalid for an image that is not there or, as DeprecationStatus in Google's discovery document says, out of use."""
    reference = caller.refer(given, collection="images", field=where)
    project = caller.project.id if reference.project == alias else reference.project

    def look(known: Images) -> Image | None:
        if reference.family:
            return known.newest(project, reference.family, zoneid)
        return known.get(project, reference.name)

    found = find(caller, look)
    if found is None and reference.family:
        raise not_found(f"projects/{project}/global/images/family/{reference.family}")
    if found is None:
        raise invalid(where, given, "The referenced image resource cannot be found.")
    if found.state in _OUT_OF_USE:
        raise invalid(where, given, f"The referenced image resource is {found.state} and can no longer be used.")
    return found


def use_warnings(image: Image) -> list[dict[str, Any]]:
    """What the operation that makes something of an image warns of, as arguments of
    :meth:`gstack.operations.run.Run.warn`: GCE's DEPRECATED_RESOURCE_USED."""
    if image.state != "DEPRECATED":
        return []
    message, data = f"The resource '{image.path}' is deprecated.", {"resource_name": image.path}
    said = (overlay.read(KIND, image.id).get("deprecated") or {}).get("replacement")
    if said:
        replacement = parse(said, collection="images", project=image.project, field="replacement")
        data["replacement_suggestion"] = f"A suggested replacement is '{replacement.path}'."
        message = f"{message} {data['replacement_suggestion']}"
    return [{"code": "DEPRECATED_RESOURCE_USED", "message": message, "data": data}]


def size_gb(image: Image) -> int:
    """The size of the disk in an image in GiB, rounded up, at least 1."""
    marked = own_values(image.row.get("tags", ())).get(SIZE, "")
    return max(gib(image.row.get("size")), int(marked) if marked.isdecimal() else 0)


def os_type(caller: Caller, template: Row | None) -> str:
    """CloudStack's id of the OS type that an image made of a disk has: that of ``template``, which the disk was made
    of, else one that says nothing. CloudStack asks for it, GCE has no word for it."""
    if template is not None and template.get("ostypeid"):
        return str(template["ostypeid"])
    known = caller.catalogue.os_types(caller.cloud)
    named = {str(row.get("description")): str(row["id"]) for row in reversed(known)}
    return next((named[name] for name in _ANY_OS if name in named), str(known[0]["id"]) if known else "")


def sort_templates(
    *,
    featured: Iterable[Row] = (),
    own: Iterable[Row] = (),
    shared: Iterable[Row] = (),
    community: Iterable[Row] = (),
    project: str,
    overrides: Mapping[str, str] | None = None,
) -> Images:
    """Sort rows of listTemplates into projects; ``project`` is the caller's, ``overrides`` the setting
    IMAGE_PROJECTS.

    A template is an image of one project only: what the settings say, else where its featuring puts it,
    else the caller's own, else its owner's.
    """
    overrides = overrides or {}
    placed: dict[str, _Placed] = {}

    def place(rows: Iterable[Row], how: Callable[[_Template], _Placed]) -> None:
        for template in _merged(rows):
            if template.id in overrides:
                placed.setdefault(template.id, _overridden(template, overrides[template.id]))
            placed.setdefault(template.id, how(template))

    community = tuple(community)
    trusted = PUBLIC_PROJECTS | {chosen.partition("/")[0] for chosen in overrides.values()}
    owners = _owner_projects(community, trusted | {project})
    place(own, lambda template: _own(template, project))
    for template in _merged(featured):
        public = _featured(template, overrides)
        if public is not None:
            placed[template.id] = public
        placed.setdefault(template.id, _Placed(template, project))
    place(shared, lambda template: _Placed(template, project))
    place(community, lambda template: _Placed(template, owners[_owner(template.row)]))
    return Images(_named(placed.values()))


def _named(placed: Iterable[_Placed]) -> Iterable[Image]:
    projects: dict[str, list[_Placed]] = {}
    for one in placed:
        projects.setdefault(one.project, []).append(one)
    for project, members in projects.items():
        names = gce_names(
            [member.template for member in members],
            name=lambda template: template.name,
            id=lambda template: template.id,
            created=lambda template: template.created,
        )
        for member in members:
            template = member.template
            yield Image(
                name=names[template.id],
                project=project,
                row=template.row,
                zoneids=template.zoneids,
                families=member.families,
                rank=(member.by_name, template.created, template.id),
                state=member.state,
            )


def _merged(rows: Iterable[Row]) -> Iterable[_Template]:
    by_id: dict[str, list[Row]] = {}
    for row in rows:
        if row.get("templatetype") not in _INTERNAL_TYPES:
            by_id.setdefault(str(row["id"]), []).append(row)
    for same in by_id.values():
        ready = [row for row in same if row.get("isready")]
        yield _Template(
            row=min(ready or same, key=lambda row: str(row.get("zoneid", ""))),
            zoneids=frozenset(str(row["zoneid"]) for row in ready if "zoneid" in row),
            created=min(str(row.get("created", "")) for row in same),
        )


def _overridden(template: _Template, place: str) -> _Placed:
    project, _, family = place.partition("/")
    return _Placed(template, project, (family,) if family else (), by_name=True)


def _featured(template: _Template, overrides: Mapping[str, str]) -> _Placed | None:
    chosen = overrides.get(template.id) or overrides.get(template.name)
    if chosen:
        return _overridden(template, chosen)
    row = template.row
    arm = str(row.get("arch", "")) == "aarch64"
    by_name = classify(template.name, arm)
    found = by_name or classify(str(row.get("ostypename") or row.get("osdisplayname") or ""), arm)
    if found is None:
        return None
    project, families = found
    if row.get("forcks") or row.get("templatetype") in _UNFIT_FOR_FAMILY_TYPES:
        families = ()
    return _Placed(template, project, families, by_name=by_name is not None)


def _own(template: _Template, project: str) -> _Placed:
    values = own_values(template.row.get("tags", ()))
    family, state = values.get(FAMILY, ""), values.get(DEPRECATED, "")
    return _Placed(template, project, (family,) if family else (), state=state if state in _OUT_OF_FAMILY else None)


@lru_cache(maxsize=4096)
def classify(text: str, arm: bool = False) -> tuple[str, tuple[str, ...]] | None:
    """``(project, families)`` of a template's name or OS type, or None where no rule fits."""
    words = re.sub(r"[^a-z0-9.]+", " ", text.lower()).strip()
    for rule in _table()[1]:
        match = rule.pattern.search(words)
        if match:
            return rule.project, _families(rule, match, arm)
    return None


def _families(rule: _Rule, match: re.Match[str], arm: bool) -> tuple[str, ...]:
    groups = {name: value for name, value in match.groupdict().items() if value is not None}
    families = []
    for form in rule.families:
        if set(re.findall(r"{(\w+)}", form)) <= groups.keys():  # else the alias needs what the name does not say
            family = form.format(**groups)
            families.append(f"{family.removesuffix('-amd64')}-arm64" if arm else family)
    return tuple(families)


def _owner(row: Row) -> tuple[str, str]:
    return str(row.get("domainid", "")), str(row.get("account") or row.get("project") or "")


def _owner_projects(rows: Iterable[Row], taken: frozenset[str]) -> dict[tuple[str, str], str]:
    """The project of every owner of a community template. Two owners of one name, or one named like a
    project that others trust, are told apart from it."""
    owners = sorted({_owner(row) for row in rows})
    slugs = [label(account) for _, account in owners]
    projects = {}
    for owner, slug in zip(owners, slugs, strict=True):
        clash = slugs.count(slug) > 1 or slug in taken
        projects[owner] = label(f"community-{owner[1]}-{owner[0][:8]}") if clash else slug
    return projects
