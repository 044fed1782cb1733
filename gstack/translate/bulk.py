"""Many instances at once: which names they get and in which zones they are made.

Apart because it is arithmetic on what the request says and what is there. The surprising thing: numbers go on after the
largest one that is there, so a gap that a deleted instance left is not filled, as in GCE.

Source: https://cloud.google.com/compute/docs/reference/rest/v1/instances/bulkInsert
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from gstack.errors import GceError, invalid
from gstack.translate.names import checked_name
from gstack.translate.places import Place

Body = Mapping[str, Any]

MOST = 1000  # instances of one request, as in GCE
MOST_DIGITS = 18
ANY, BALANCED, SINGLE = "ANY", "BALANCED", "ANY_SINGLE_ZONE"
SHAPES = (ANY, BALANCED, SINGLE, "TARGET_SHAPE_UNSPECIFIED")
DENY = "DENY"


def count(body: Body) -> int:
    """How many instances are asked for. Raises GceError."""
    named = body.get("perInstanceProperties") or {}
    found = body.get("count")
    if found is None:
        found = len(named)
    if not 1 <= found <= MOST:
        raise invalid("resource.count", found, f"It must be between 1 and {MOST}.")
    if named and not body.get("namePattern") and len(named) != found:
        raise invalid("resource.count", found, f"perInstanceProperties names {len(named)} instances.")
    return int(found)


def least(body: Body, wanted: int) -> int:
    """How few instances are enough: all of them where nothing is said. Raises GceError invalid."""
    found = body.get("minCount")
    if found is None:
        return wanted
    if not 1 <= found <= wanted:
        raise invalid("resource.minCount", found, "It must be between 1 and count.")
    return int(found)


def names(body: Body, wanted: int, taken: Collection[str]) -> list[str]:
    """The names, in order; ``taken`` are those of the zone's instances. Raises GceError."""
    named, pattern = body.get("perInstanceProperties") or {}, body.get("namePattern")
    if pattern and named:
        raise invalid("resource.namePattern", pattern, "It excludes perInstanceProperties.")
    if pattern:
        return numbered(pattern, wanted, taken)
    if not named:
        where = "resource.namePattern"
        raise GceError("required", f"Either '{where}' or 'resource.perInstanceProperties' is required", location=where)
    where = "resource.perInstanceProperties"
    found = [checked_name(said.get("name") or key, f"{where}.{key}") for key, said in named.items()]
    if len(set(found)) != len(found):
        raise invalid(where, "", "Two instances of one name.")
    return found


def numbered(pattern: str, wanted: int, taken: Collection[str]) -> list[str]:
    """The names that a pattern such as ``web-##`` gives. Raises GceError invalid."""
    where, hashes = "resource.namePattern", re.findall("#+", pattern)
    if len(hashes) != 1 or len(hashes[0]) > MOST_DIGITS:
        raise invalid(where, pattern, f"It must have one run of # characters, of {MOST_DIGITS} at most.")
    before, _, after = pattern.partition(hashes[0])
    digits = len(hashes[0])
    alike = re.compile(f"{re.escape(before)}([0-9]{{{digits}}}){re.escape(after)}")
    first = max((int(found[1]) for name in taken if (found := alike.fullmatch(name))), default=0) + 1
    if len(str(first + wanted - 1)) > digits:
        raise invalid(where, pattern, f"There are not {wanted} free numbers of {digits} digits.")
    return [checked_name(f"{before}{number:0{digits}}{after}", where) for number in range(first, first + wanted)]


def spread(body: Body, wanted: int, zones: Sequence[Place]) -> list[tuple[Place, int]]:
    """How many instances are made in which of a region's zones. Raises GceError invalid where they have no room."""
    policy = body.get("locationPolicy") or {}
    room = _room(policy, wanted, zones)
    shape = policy.get("targetShape") or ANY
    if shape == SINGLE:
        found = [(place, wanted) for place, most in room if most >= wanted][:1]
    elif shape == BALANCED:
        found = _balanced(room, wanted)
    else:
        found = _filled(room, wanted)
    if sum(number for _, number in found) < wanted:
        raise invalid("resource.locationPolicy", "", f"It leaves no room for {wanted} instances.")
    return found


def _room(policy: Body, wanted: int, zones: Sequence[Place]) -> list[tuple[Place, int]]:
    where, said = "resource.locationPolicy.locations", dict(policy.get("locations") or {})
    chosen = [str(one.get("zone", "")).rpartition("/")[2] for one in policy.get("zones") or []]
    rules = {key.rpartition("/")[2]: (key, rule) for key, rule in said.items()}
    for name, key in [*((name, f"{where}.{key}") for name, (key, _) in rules.items()), *((one, "") for one in chosen)]:
        if name not in {place.name for place in zones}:
            raise invalid(key or "resource.locationPolicy.zones", name, "It is no zone of this region.")
    found = []
    for place in zones:
        _, rule = rules.get(place.name, ("", {}))
        if rule.get("preference") == DENY or (chosen and place.name not in chosen):
            continue
        most = (rule.get("constraints") or {}).get("maxCount")
        found.append((place, wanted if most is None else min(wanted, most)))
    return found


def _filled(room: Sequence[tuple[Place, int]], wanted: int) -> list[tuple[Place, int]]:
    found: list[tuple[Place, int]] = []
    for place, most in room:
        number = min(most, wanted - sum(one for _, one in found))
        if number > 0:
            found.append((place, number))
    return found


def _balanced(room: Sequence[tuple[Place, int]], wanted: int) -> list[tuple[Place, int]]:
    numbers = [0] * len(room)
    for _ in range(wanted):
        free = [index for index, (_, most) in enumerate(room) if numbers[index] < most]
        if not free:
            break
        numbers[min(free, key=lambda index: numbers[index])] += 1
    return [(place, number) for (place, _), number in zip(room, numbers, strict=True) if number]
