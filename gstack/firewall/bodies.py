"""What GCE checks in a firewall beyond its schema, and what it fills in.

Apart from the handlers because insert, patch and update share it. The surprising thing: a rule that names neither
ranges nor tags speaks of all IPv4 addresses, and of no IPv6 one.

Source: https://cloud.google.com/compute/docs/reference/rest/v1/firewalls and GCE's error sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import Any

from gstack.errors import GceError, Problem, required
from gstack.firewall.rules import DEFAULT_PRIORITY, EGRESS, INGRESS, WITH_PORTS, port_range, protocol_number
from gstack.protocol.values import missing
from gstack.translate.names import NAME_RULE, is_label

ANYWHERE = ["0.0.0.0/0"]
LOWEST_PRIORITY = 65535
LISTS = (
    "allowed",
    "denied",
    "sourceRanges",
    "destinationRanges",
    "sourceTags",
    "targetTags",
    "sourceServiceAccounts",
    "targetServiceAccounts",
)
# GCE's limits for one rule. https://cloud.google.com/firewall/quotas
MOST = {
    "sourceRanges": 5000,
    "destinationRanges": 5000,
    "sourceTags": 30,
    "targetTags": 70,
    "sourceServiceAccounts": 10,
    "targetServiceAccounts": 10,
}
ACCOUNT = re.compile(r"[^@\s]+@[^@\s]+|default")


def completed(body: Mapping[str, Any], network: str) -> dict[str, Any]:
    """The firewall that ``body`` asks for, with GCE's defaults; ``network`` is its network's name.

    Raises GceError (400) with one problem for each member that cannot be accepted.
    """
    found = {key: value for key, value in body.items() if not (key in LISTS and not value)}
    found = {
        "description": "",
        "direction": INGRESS,
        "priority": DEFAULT_PRIORITY,
        "disabled": False,
        **found,
        "network": network,
        "logConfig": {"enable": False} | body.get("logConfig", {}),
    }
    problems = list(_problems(found))
    if problems:
        raise GceError("invalid", "\n".join(problem.message for problem in problems), problems=tuple(problems))
    if not any(found.get(key) for key in ("allowed", "denied")):
        raise required("resource.allowed")
    peers: tuple[str, ...] = ("sourceRanges", "sourceTags", "sourceServiceAccounts")
    if found["direction"] == EGRESS:
        peers = ("destinationRanges",)
    if not any(found.get(key) for key in peers):
        found[peers[0]] = list(ANYWHERE)
    return found


def _problems(found: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _whole(found)
    for member in ("allowed", "denied"):
        for index, entry in enumerate(found.get(member, ())):
            yield from _entry(f"resource.{member}[{index}]", entry)
    for member in ("sourceRanges", "destinationRanges"):
        for index, text in enumerate(found.get(member, ())):
            why = _range_trouble(text)
            if why:
                yield _problem(f"resource.{member}[{index}]", text, why)
    for member in ("sourceTags", "targetTags"):
        for index, text in enumerate(found.get(member, ())):
            if not is_label(text):
                yield _problem(
                    f"resource.{member}[{index}]",
                    text,
                    NAME_RULE,
                )
    for member in ("sourceServiceAccounts", "targetServiceAccounts"):
        for index, text in enumerate(found.get(member, ())):
            if not ACCOUNT.fullmatch(text):
                yield _problem(f"resource.{member}[{index}]", text, "Must be a service account's email address.")


def _whole(found: Mapping[str, Any]) -> Iterator[Problem]:
    """What concerns several members."""
    if found.get("allowed") and found.get("denied"):
        yield _problem("resource.denied", "", "A firewall has either allowed or denied rules, not both.")
    if not 0 <= found["priority"] <= LOWEST_PRIORITY:
        yield _problem("resource.priority", found["priority"], f"Must be between 0 and {LOWEST_PRIORITY}.")
    for member, most in MOST.items():
        if len(found.get(member, ())) > most:
            yield _problem(f"resource.{member}", "…", f"Must have at most {most} entries.")
    if found["direction"] == EGRESS:
        for member in ("sourceTags", "sourceServiceAccounts"):
            if found.get(member):
                yield _problem(f"resource.{member}", found[member][0], "Only an INGRESS firewall may have it.")
    accounts = [member for member in LISTS if member.endswith("ServiceAccounts") and found.get(member)]
    if accounts and (found.get("sourceTags") or found.get("targetTags")):
        why = "Service accounts and tags cannot be used in the same firewall."
        yield _problem(f"resource.{accounts[0]}", found[accounts[0]][0], why)


def _entry(path: str, entry: Mapping[str, Any]) -> Iterator[Problem]:
    word = entry.get("IPProtocol")
    if not word:
        yield missing(f"{path}.IPProtocol")
        return
    try:
        number = protocol_number(word)
    except ValueError:
        why = "Must be one of [all, tcp, udp, icmp, esp, ah, sctp, ipip] or a protocol number."
        yield _problem(f"{path}.IPProtocol", word, why)
        return
    if entry.get("ports") and number not in WITH_PORTS:
        why = "Ports may only be specified on rules whose protocol is one of [TCP, UDP, SCTP]."
        yield _problem(f"{path}.ports[0]", entry["ports"][0], why)
        return
    for index, text in enumerate(entry.get("ports", ())):
        try:
            port_range(text)
        except ValueError:
            yield _problem(f"{path}.ports[{index}]", text, "Must be a port from 0 to 65535, or a range of them.")


def _range_trouble(text: str) -> str | None:
    try:
        ip_network(text)
    except ValueError as error:
        if "host bits" in str(error):
            return f"Must be a valid CIDR address range, such as {ip_network(text, strict=False)}."
        return "Must be a valid IPv4 or IPv6 address or CIDR range."
    return None


def _problem(location: str, value: object, why: str) -> Problem:
    return Problem(f"Invalid value for field '{location}': '{value}'. {why}", location, "invalid")
