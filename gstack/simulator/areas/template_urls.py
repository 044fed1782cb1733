"""What registering a template says of where it comes from: URL, format and hypervisor.

Apart from the registry, because it looks at nothing but the call. Surprising: CloudStack resolves the host at once and
takes every format and hypervisor it knows, also those that no host of the zone could run; here nothing is looked up,
and every name has an address but those under `.invalid`. Checks and texts are those of CloudStack's
`TemplateAdapterBase` and `UriUtils`.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from urllib.parse import SplitResult, urlsplit

from .. import errors
from ..errors import ApiError, invalid

# What the path of a URL may end with, beside the endings of compressed files.
ENDINGS = {
    "VHD": ("vhd",),
    "VHDX": ("vhdx",),
    "QCOW2": ("qcow2", "img"),
    "OVA": ("ova",),
    "TAR": ("tar",),
    "RAW": ("img", "raw"),
    "VMDK": ("vmdk",),
    "ISO": ("iso",),
}
METALINK = ("QCOW2", "OVA", "ISO")
COMPRESSED = ("", ".zip", ".bz2", ".gz", ".xz")
FORMATS = "QCOW2, RAW, VHD, ISO, OVA, VHDX, BAREMETAL, EXTERNAL, VMDK, VDI, TAR, ZIP, DIR, "
HYPERVISORS = (
    *("XenServer", "KVM", "VMware", "Hyperv", "VirtualBox", "Parralels", "BareMetal", "Simulator", "Ovm", "Ovm3"),
    *("LXC", "Custom", "External", "Any"),
)
NOT_IN_URLS = re.compile(r'[\s<>"{}|\\^`]')


def refused(text: str) -> ApiError:
    """What Java calls an illegal argument."""
    return ApiError(431, text, 9999)


def known_hypervisor(name: str) -> str:
    found = next((one for one in HYPERVISORS if one.lower() == name.lower()), None)
    if found is None:
        known = ", ".join(HYPERVISORS)
        raise invalid(f"Hypervisor Type: {name} is invalid. Supported Hypervisor types are: {known}")
    return found


def check(url: str, kind: str) -> None:
    if "file://" in url.lower():
        raise invalid("File:// type urls are currently unsupported")
    if kind.upper() not in FORMATS.split(", ")[:-1]:
        raise refused(f"Image format: {kind} is incorrect. Supported formats are [{FORMATS}]")
    parts = parsed(url)
    if parts.scheme.lower() not in ("http", "https"):
        raise refused(f"Unsupported scheme for url: {url}")
    check_host(parts.hostname or "")
    if kind.upper() not in ENDINGS:
        raise ApiError(530, f"No endings of files are known for {kind}", 9999, errors.HIDDEN)
    if not ends_as(parts.path, kind.upper()):
        if any(ends_as(parts.path, other) for other in ENDINGS):
            raise refused(f"Please specify a valid URL. URL:{parts.path} is an invalid for the format {kind.lower()}")
        raise refused(f"Please specify a valid {kind.lower()}")


def parsed(url: str) -> SplitResult:
    try:
        if NOT_IN_URLS.search(url):
            raise ValueError(url)
        return urlsplit(url)
    except ValueError:
        raise refused(f"Invalid URL: {url}") from None


def check_host(host: str) -> None:
    if host.lower().rstrip(".").endswith(".invalid"):  # https://www.rfc-editor.org/rfc/rfc6761#section-6.4
        raise refused(f"Unable to resolve {host}.")
    try:
        address = ip_address("127.0.0.1" if host.lower() in ("", "localhost") else host)
    except ValueError:
        return
    if address.is_unspecified or address.is_link_local or address.is_loopback or address.is_multicast:
        raise refused("Illegal host specified in URL.")
    if isinstance(address, IPv6Address):
        raise refused(f"IPv6 addresses are not supported ({address.exploded}).")


def ends_as(path: str, kind: str) -> bool:
    endings = [f".{end}{more}" for end in ENDINGS[kind] for more in COMPRESSED]
    return path.lower().endswith((*endings, *((".metalink",) if kind in METALINK else ())))
