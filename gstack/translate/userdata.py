"""From an instance's metadata to the user data that its guest reads: what GCE's guest agent does, told to cloud-init.

Apart because it speaks a third language. ``user-data`` alone goes as it is; with anything else it becomes one part of
a multi-part document beside a program that runs at every boot (guest.py: startup scripts, ssh keys, a file with all
metadata) and the host name. The surprising thing: metadata that would change the guest and cannot is
refused, because a key that was accepted and does nothing is a wrong answer that nobody notices.

Sources: https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys,
https://cloudinit.readthedocs.io/en/latest/explanation/format.html
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from gstack.errors import GceError, invalid
from gstack.translate import guest

LONGEST = 32_768  # vm.userdata.max.length: characters of base64
MOST_VALUE = 256 * 1024  # bytes of one value, GCE's limit
MOST_ALL = 512 * 1024  # bytes of all keys and values, GCE's limit
FIELD = "resource.metadata.items"
USER_DATA, ENCODING, KEYS = "user-data", "user-data-encoding", "ssh-keys"
EXPIRING, EXPIRE_ON = "google-ssh", "%Y-%m-%dT%H:%M:%S%z"  # what gcloud and Google's console write
SCRIPT, SCRIPT_URL = "startup-script", "startup-script-url"
OSLOGIN, BLOCK = "enable-oslogin", "block-project-ssh-keys"

_KEY = re.compile(r"[a-zA-Z0-9_-]{1,128}")
# Accounts that useradd makes and gcloud asks for (Jane.Doe). In sudoers(5) a name of capitals alone is an alias, ALL
# that of everybody, and a line that begins with Defaults a setting.
_LOGIN = re.compile(r"(?!Defaults|.*_Alias)(?=.*[a-z.-]|_)[A-Za-z_][A-Za-z0-9._-]{0,31}")
_URL = re.compile(r"https?://[^\s\x00-\x1f]+")
_TRUE = ("true", "1", "yes", "y")
_UNSERVED = re.compile(
    r"(?:shutdown-script|shutdown-script-url|gce-container-declaration|sshKeys"
    r"|(?:windows-(?:startup|shutdown)|sysprep-specialize)-script-.*)"
)
MULTIPART, OTHER = "multipart", "other"
NOT_CLOUD_INIT = "User data that is not for cloud-init does not combine with a startup script, ssh keys or a host name."
# The first line of user data tells its type.
_TYPES = (
    ("#cloud-config-archive", "text/cloud-config-archive"),
    ("#cloud-config", "text/cloud-config"),
    ("#include-once", "text/x-include-once-url"),
    ("#include", "text/x-include-url"),
    ("#cloud-boothook", "text/cloud-boothook"),
    ("#part-handler", "text/part-handler"),
    ("## template: jinja", "text/jinja2"),
    ("#!", "text/x-shellscript"),
    ("content-type: multipart/", MULTIPART),
    ("mime-version:", MULTIPART),
)
# Lists of the guest's own configuration grow instead of being replaced.
_MERGE = "list(append)+dict(recurse_list)+str()"


def compose(
    items: Sequence[Mapping[str, Any]],
    hostname: str | None = None,
    inherited: Sequence[Mapping[str, Any]] = (),
    where: str = FIELD,
    *,
    later: bool = False,
) -> str | None:
    """The parameter ``userdata`` (base64) for metadata items and a custom host name; None where there is nothing to
    say. ``inherited`` are items of the project: those that GCE's guests look for there are added. ``where`` is the
    field that the items were given in. ``later``: of a machine that is there, whose guest may have to take something
    back; there is always something to say then.

    Raises GceError invalid, naming the item, for metadata that GCE would refuse, that cannot reach a guest here, or
    that is too long for CloudStack.
    """
    try:
        return _composed(items, hostname, inherited, later)
    except GceError as error:
        at = error.problems[0].location or FIELD
        raise GceError(error.kind, error.message.replace(FIELD, where), location=at.replace(FIELD, where)) from None


def _composed(
    items: Sequence[Mapping[str, Any]], hostname: str | None, inherited: Sequence[Mapping[str, Any]], later: bool
) -> str | None:
    values = _with(check(items), {str(item.get("key", "")): str(item.get("value", "")) for item in inherited})
    given = _user_data(values)
    others = {key: value for key, value in values.items() if key not in (USER_DATA, ENCODING)}
    users = _users(values.get(KEYS, ""), items)
    if values.get(OSLOGIN, "").lower() in _TRUE:
        users = {}  # OS Login shuts out keys of the metadata; that it lets nobody else in here is no reason to open
    kind = _type_of(given)
    script, url = others.get(SCRIPT, ""), others.get(SCRIPT_URL, "")
    if given and kind == OTHER:
        # Ignition and the like: nothing may stand beside it, and there is no cloud-init to read what would.
        if users or script or url or hostname is not None:
            raise invalid(FIELD, "", NOT_CLOUD_INIT)
        return _encoded(given)
    if not others and hostname is None and not later:
        return _encoded(given) if given else None
    parts = [("text/cloud-boothook", guest.program(others, users, script, url))] if others or later else []
    parts += [(kind, given)] if given else []
    if hostname is not None:
        parts.append(("text/cloud-config", _configuration(hostname)))
    return _encoded(_multipart(parts))


def _configuration(hostname: str) -> bytes:
    said = {"fqdn": hostname, "hostname": hostname.partition(".")[0]}
    return b"#cloud-config\n" + json.dumps(said, indent=1).encode() + b"\n"


def _with(own: dict[str, str], project: Mapping[str, str]) -> dict[str, str]:
    """What a guest goes by: its own keys of these names before those of its project; ssh keys of both, unless it blocks
    the project's."""
    found = {key: project[key] for key in (SCRIPT, SCRIPT_URL, OSLOGIN) if project.get(key)} | own
    if project.get(KEYS) and own.get(BLOCK, "").lower() not in _TRUE:
        found[KEYS] = "\n".join(filter(None, (own.get(KEYS), project[KEYS])))
    return found


def check(items: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The items as a mapping. Raises GceError invalid, which never shows a value: it may be a secret."""
    values: dict[str, str] = {}
    for index, item in enumerate(items):
        key, value = str(item.get("key", "")), str(item.get("value", ""))
        _check_item(f"{FIELD}[{index}]", key, value)
        if key in values:
            raise invalid(f"{FIELD}[{index}].key", key, f"Metadata has duplicate keys: {key}.")
        values[key] = value
    if sum(len(key) + len(value.encode()) for key, value in values.items()) > MOST_ALL:
        raise GceError("invalid", f"All metadata may have {MOST_ALL} bytes at most.", location=FIELD)
    return values


def _check_item(location: str, key: str, value: str) -> None:
    if not _KEY.fullmatch(key):
        raise invalid(f"{location}.key", key, "Must be a match of regex '[a-zA-Z0-9_-]{1,128}'.")
    if len(value.encode()) > MOST_VALUE:
        raise invalid(f"{location}.value", "", f"A value may have {MOST_VALUE} bytes at most.")
    if _UNSERVED.fullmatch(key) and value:
        raise invalid(f"{location}.key", key, "This key has no effect in a guest on this cloud.")
    if key == SCRIPT_URL and value and not _URL.fullmatch(value):
        why = "A guest here fetches from http:// and https:// only, without credentials of Google's."
        raise invalid(f"{location}.value", "", why)


def _user_data(values: Mapping[str, str]) -> bytes:
    text, encoding = values.get(USER_DATA, ""), values.get(ENCODING, "")
    if encoding not in ("", "base64"):
        raise invalid(FIELD, encoding, f"{ENCODING} may only be base64.")
    if not encoding:
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise invalid(FIELD, "", f"{USER_DATA} is not base64 encoded, as {ENCODING} says.") from None


def _type_of(data: bytes) -> str:
    if data.startswith(b"\x1f\x8b"):
        return "application/octet-stream"  # cloud-init unpacks it and looks again
    first = data.lstrip()[:64].decode("utf-8", "replace")
    return next((kind for start, kind in _TYPES if first.lower().startswith(start)), OTHER)


def _users(text: str, items: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """``ada:ssh-ed25519 AAAA… ada@laptop`` a line; GCE gives each of them an account that may do everything. Lines of
    authorized_keys, each with the moment at which it ends, where it has one."""
    keys: dict[str, list[str]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, colon, key = line.partition(":")
        if not colon or not _LOGIN.fullmatch(name) or len(key.split()) < 2:
            why = "Each line must be USER:KEY-TYPE KEY [COMMENT], and USER an account that a guest can have."
            raise invalid(_location(items, KEYS), f"{line[:40]}…", why)
        try:
            keys.setdefault(name, []).append(_expiring(key.strip()))
        except (ValueError, TypeError, KeyError, OverflowError):
            why = 'What follows google-ssh must be JSON with a date: {"expireOn":"2030-12-31T23:59:59+0000"}.'
            raise invalid(_location(items, KEYS), f"{line[:40]}…", why) from None
    return keys


def _expiring(key: str) -> str:
    """The line of authorized_keys for a key that may have an end (``KEY-TYPE KEY google-ssh {"expireOn": …}``): sshd
    refuses it from then on, by the guest's clock and in its time zone, which images of clouds have at UTC. Raises
    ValueError, TypeError, KeyError or OverflowError for an end that cannot be read.

    Sources: https://cloud.google.com/compute/docs/connect/add-ssh-keys#metadata, sshd(8), AUTHORIZED_KEYS.
    """
    said = key.split(None, 3)
    if said[2:3] != [EXPIRING]:
        return key
    end = datetime.strptime(orjson.loads(said[3] if len(said) > 3 else "")["expireOn"], EXPIRE_ON)
    return f'expiry-time="{end.astimezone(UTC):%Y%m%d%H%M%S}" {key}'


def _location(items: Iterable[Mapping[str, Any]], key: str) -> str:
    index = next((index for index, item in enumerate(items) if item.get("key") == key), None)
    if index is None:  # the project's
        return FIELD
    return f"{FIELD}[{index}].value"


def _multipart(parts: Sequence[tuple[str, bytes]]) -> bytes:
    """A document whose boundary depends on its content, so that the same metadata gives the same user data."""
    boundary = "gstack-" + hashlib.sha256(b"\0".join(data for _, data in parts)).hexdigest()[:32]
    lines = [f'Content-Type: multipart/mixed; boundary="{boundary}"', "MIME-Version: 1.0", ""]
    for kind, data in parts:
        lines.append(f"--{boundary}")
        if kind == MULTIPART:
            lines.append(data.decode("utf-8", "surrogateescape"))
            continue
        lines += [*_headers(kind, data), ""]
        lines.append(base64.encodebytes(data).decode() if _is_binary(data) else data.decode())
    return "\n".join([*lines, f"--{boundary}--", ""]).encode("utf-8", "surrogateescape")


def _headers(kind: str, data: bytes) -> list[str]:
    headers = [f'Content-Type: {kind}; charset="utf-8"', "MIME-Version: 1.0"]
    if _is_binary(data):
        headers.append("Content-Transfer-Encoding: base64")
    if kind == "text/cloud-config":
        headers.append(f"Merge-Type: {_MERGE}")
    return headers


def _is_binary(data: bytes) -> bool:
    return not data.isascii() or b"\r" in data


def _encoded(data: bytes) -> str:
    encoded = base64.b64encode(data).decode()
    if len(encoded) > LONGEST and not data.startswith(b"\x1f\x8b"):
        # Readable for whoever looks into a small one; cloud-init unpacks what is larger. mtime: always the same bytes.
        encoded = base64.b64encode(gzip.compress(data, 9, mtime=0)).decode()
    if len(encoded) > LONGEST:
        raise GceError(
            "invalid",
            f"Invalid value for field '{FIELD}': the metadata makes {len(encoded)} characters of user data; CloudStack "
            f"accepts at most {LONGEST}.",
            location=FIELD,
        )
    return encoded
