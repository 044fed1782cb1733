"""External addresses that lie in no network: reserve one, set one aside from its network, find and tag it.

Apart from the workflows of addresses because the deletion of networks needs it as well. The surprising things:
CloudStack answers who reserves an address twice as if it were the first time, so two operations that choose the same
one learn by its tags whose it is; and it cannot take an address out of a network but by giving it back, so one that is
set aside is nobody's for a moment, and loses its tags.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any

from gstack.cloudstack.client import Cloud
from gstack.errors import GceError
from gstack.firewall.security_groups import using
from gstack.firewall.writer import Writer
from gstack.operations.run import Run
from gstack.translate import addresses, networks, tags

Row = dict[str, Any]
Tags = list[dict[str, str]]

RESOURCE = "PublicIpAddress"
MOST_TRIES = 8
FREE_SECONDS = 30.0
NOT_FREE = 431  # CloudStack's answer where an address is somebody's by now
LEFT = "The free public address {} has tags of its former owner's, which CloudStack lets nobody else delete: {}"
SHORTAGE = "CloudStack's public addresses are being taken faster than they can be asked for."


def reserve(run: Run, zoneid: str, wanted: Tags) -> Row:
    """A new address of a zone that lies in no network, with its ``id`` and ``ipaddress``, and with the tags ``wanted``,
    of which one is its name; given back if the workflow fails. Raises GceError quotaExceeded or stockout."""
    why: str | None = None
    for number in range(MOST_TRIES):
        chosen: Row = run.step(f"choose address {number}", choose, run, zoneid, number)
        try:
            run.job(f"reserve address {number}", "reserveIpAddress", {"id": chosen["id"]})
        except GceError as error:
            if getattr(error, "code", None) == NOT_FREE:
                continue
            raise
        run.undo(f"the address {chosen['ipaddress']}", give_back, run, chosen["id"], wanted)
        why = run.step(f"tags {number}", lambda row=chosen: using(run, lambda writer: _claim(writer, row, wanted)))
        if why is None:
            return chosen
    raise GceError("stockout", why or SHORTAGE)


def set_aside(run: Run, row: Row) -> None:
    """Take an address (of :func:`look`) that nothing uses out of its network or VPC. It stays the caller's, with its
    tags. Raises GceError where another account was faster in the moment in between."""
    guard(run, row)
    shown, asked = row["ipaddress"], {"id": row["id"]}
    release(run, row)
    # Where the answer of the release was lost, it may still be under way. One that never lies free is refused below.
    run.poll(f"{shown} is free", lambda: run.cloud.count(addresses.COMMAND, state="Free", **asked), within=FREE_SECONDS)
    try:
        run.job(f"reserve {shown}", "reserveIpAddress", asked)
    except GceError as error:
        message = f"CloudStack moves an address by giving it back, and does not let {shown} be reserved again"
        raise GceError(error.kind, f"{message}: {error.message}") from None
    run.step(f"tags of {shown}", lambda: using(run, lambda writer: retag(writer, row["id"], row["tags"], [])))


def release(run: Run, row: Row) -> None:
    """Give an address (of :func:`look`) back to CloudStack."""
    find_gone = partial(_gone, run, row["id"])
    run.job(f"release {row['ipaddress']}", "disassociateIpAddress", {"id": row["id"]}, find=find_gone)


def guard(run: Run, row: Row) -> None:
    """If the workflow fails, see to it that an address (of :func:`look`) is still the caller's, wherever it lies."""
    run.undo(f"the move of the address {row['ipaddress']}", _regain, run, row)


def regain(run: Run, row: Row) -> None:
    """See to it now that an address (of :func:`look`) is still the caller's; a warning where it is not."""
    try:
        run.step(f"regain {row['ipaddress']}", _regain, run, row)
    except GceError as error:
        run.warn("NOT_CRITICAL_ERROR", f"The external address {row['ipaddress']} is lost: {error.message}")


# What follows runs inside of steps.


def look(run: Run, address: str) -> Row:
    """What has to be known of an address before it moves: ``id``, ``ipaddress``, ``reserved``, ``issourcenat``,
    ``virtualmachineid``, ``forwarding``, ``keeper``, its network in ``row``, and ``tags``. Raises GceError notFound."""
    row = find(run.cloud, address)
    if row is None:
        raise GceError("notFound", "The external address is gone.")
    return facts(row)


def facts(row: Mapping[str, Any]) -> Row:
    """As :func:`look`, of CloudStack's row. When it was made is among the tags, as CloudStack forgets it."""
    there = _keyed(row)
    made = tags.plan_own((), {addresses.CREATED: str(row.get("allocated"))}).create
    return {
        "id": row["id"],
        "ipaddress": row["ipaddress"],
        "reserved": row.get("state") == addresses.RESERVED,
        "issourcenat": bool(row.get("issourcenat")),
        "virtualmachineid": row.get("virtualmachineid"),
        "forwarding": networks.marks(row).get(addresses.FORWARDING),
        "keeper": networks.marks(row).get(addresses.KEEPER),
        "row": {member: row.get(member) for member in ("associatednetworkid", "vpcid")},
        "tags": there if addresses.CREATED in networks.marks(row) else there + made,
    }


def find(cloud: Cloud, address: str) -> Mapping[str, Any] | None:
    """CloudStack's row of an address of the caller's, whether it lies in a network or not."""
    return next(iter(addresses.every(cloud, id=address)), None)


def choose(run: Run, zoneid: str, number: int) -> Row:
    """A free address: its ``id``, ``ipaddress``, and the ``tags`` of a former owner, which CloudStack leaves on it; one
    with such tags only where there is no other. Another one for each operation, so that those side by side seldom want
    the same."""
    rows = run.cloud.list("listPublicIpAddresses", zoneid=zoneid, state="Free", allocatedonly=False)
    rows = [row for row in rows if row.get("state") == "Free"]
    free = sorted([row for row in rows if not row.get("tags")] or rows, key=lambda row: str(row["ipaddress"]))
    if not free:
        raise GceError("stockout", "CloudStack has no free public address in this zone.")
    place = int.from_bytes(hashlib.blake2b(f"{run.name}/{number}".encode(), digest_size=4).digest(), "big")
    row = free[place % len(free)]
    return {"id": str(row["id"]), "ipaddress": str(row["ipaddress"]), "tags": _keyed(row)}


def give_back(run: Run, address: str, wanted: Tags) -> None:
    """Release an address that the workflow has got, to take that back: not one that another operation has named, which
    the tags ``wanted`` do not name."""

    def body(writer: Writer) -> None:
        row = find(writer.cloud, address)
        if row is None or _is_anothers(writer.cloud, address, wanted):
            return
        if row.get("state") == addresses.RESERVED:
            retag(writer, address, [], _tags(writer.cloud, address))
        writer.obey("disassociateIpAddress", {"id": address})

    using(run, body)


def mark(writer: Writer, address: str, marks: Mapping[str, str | None]) -> None:
    """Set gstack's own marks on an address; None takes one away."""
    row = find(writer.cloud, address)
    if row is not None:
        changes = tags.plan_own(row.get("tags") or (), marks)
        retag(writer, address, changes.create, changes.delete)


def retag(writer: Writer, address: str, create: Tags, delete: Tags) -> None:
    """Delete and create tags, as far as that has not happened yet."""
    there = {tag["key"]: tag["value"] for tag in _tags(writer.cloud, address)}
    wanted = {tag["key"]: tag["value"] for tag in create}
    gone = [tag for tag in delete if tag["key"] in there and there[tag["key"]] != wanted.get(tag["key"])]
    missing = [tag for tag in create if there.get(tag["key"]) != tag["value"]]
    for command, some in (("deleteTags", gone), ("createTags", missing)):
        if some:
            writer.obey(command, {"resourcetype": RESOURCE, "resourceids": [address], "tags": some})


def clean(writer: Writer, chosen: Row) -> str | None:
    """Take a former owner's tags off an address (of :func:`choose`) that is the caller's by now; a sentence where that
    cannot be, and then it is given back."""
    address = chosen["id"]
    try:
        retag(writer, address, [], [tag for tag in chosen["tags"] if tag in _tags(writer.cloud, address)])
    except GceError as error:
        writer.obey("disassociateIpAddress", {"id": address})
        return LEFT.format(chosen["ipaddress"], error.message)
    return None


def _gone(run: Run, address: str) -> Row | None:
    return {} if find(run.cloud, address) is None else None


def _tags(cloud: Cloud, address: str) -> Tags:
    return _keyed(find(cloud, address) or {})


def _keyed(row: Mapping[str, Any]) -> Tags:
    return [{"key": tag["key"], "value": tag["value"]} for tag in row.get("tags") or () if tag.get("key")]


def _claim(writer: Writer, chosen: Row, wanted: Tags) -> str | None:
    """Tag a reserved address (of :func:`choose`); a sentence where that cannot be: it is another operation's, or, and
    then it is given back, has a former owner's tags. CloudStack refuses a second tag of one key."""
    address, why = chosen["id"], clean(writer, chosen)
    if why is not None:
        return why
    if _is_anothers(writer.cloud, address, wanted):
        return SHORTAGE
    try:
        retag(writer, address, wanted, [])
    except GceError:
        if _is_anothers(writer.cloud, address, wanted):
            return SHORTAGE
        raise
    return None


def _is_anothers(cloud: Cloud, address: str, wanted: Tags) -> bool:
    name, mine = (tags.own_values(some).get(addresses.NAME) for some in (_tags(cloud, address), wanted))
    return name is not None and name != mine


def _regain(run: Run, row: Row) -> None:
    def body(writer: Writer) -> None:
        if find(writer.cloud, row["id"]) is None:
            writer.obey("reserveIpAddress", {"id": row["id"]})
        retag(writer, row["id"], row["tags"], [])

    using(run, body)
