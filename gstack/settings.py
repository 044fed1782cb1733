"""All settings: one tuple that names them, their types, defaults and meaning; the file, then the environment.

``gstack.conf`` holds Python-style constants. It is parsed, never executed: a configuration file that runs code
would give whoever writes it the gateway's keys. The environment overrides under ``GSTACK_CONF_<NAME>``; bare names
are never read, because ``PATH`` and Kubernetes' ``GSTACK_PORT=tcp://...`` mean something else there.
"""

from __future__ import annotations

import ast
import difflib
import ipaddress
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ENVIRONMENT_PREFIX = "GSTACK_CONF_"
PORTS = 65_535
HOST = r"[A-Za-z0-9_]([-A-Za-z0-9._]*[A-Za-z0-9_.])?|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*"
ORIGIN = r"https?://[A-Za-z0-9.\[\]:_-]+/?"
# What reading a constant can meet in a file that somebody wrote by hand, or did not write at all.
UNREADABLE = (ValueError, TypeError, SyntaxError, RecursionError, MemoryError)

OCTET = r"(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"


class SettingsError(Exception):
    """A configuration that cannot be used; the message says which setting, why, and what would do."""


@dataclass(frozen=True)
class Setting:
    """One setting. ``kind`` is the type its value must have, ``doc`` a sentence for the documentation."""

    name: str
    kind: type
    default: Any
    doc: str
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    pattern: str = ""


SETTINGS: tuple[Setting, ...] = (
    Setting("PATH", str, "~/.gstack", "Folder of the database, the keys and the certificates."),
    Setting("GSTACK_BIND_ADDRESS", str, "localhost", "Name or address the gateway listens on.", pattern=HOST),
    Setting("GSTACK_PORT", int, 5000, "Port the gateway listens on.", least=1, most=PORTS),
    Setting("GSTACK_TLS", bool, True, "Serve HTTPS. Off only behind a proxy that ends TLS."),
    Setting(
        "GSTACK_CORS_ORIGINS",
        str,
        "",
        "Origins whose pages may call the API: 'https://a.example, https://b.example', or '*'; empty: none.",
        pattern=rf"(\*|{ORIGIN}(\s*,\s*{ORIGIN})*)?",
    ),
    Setting("GSTACK_TLS_MINIMUM", str, "1.2", "Oldest TLS version accepted.", choices=("1.2", "1.3")),
    Setting("GSTACK_CERT_FILE", str, "", "Server certificate chain; empty: server.pem in PATH."),
    Setting("GSTACK_KEY_FILE", str, "", "Server key; empty: server.key in PATH."),
    Setting("GSTACK_CA_FILE", str, "", "CA that clients are told to trust; empty: ca.pem in PATH."),
    Setting("GSTACK_WORKERS", int, 2, "Web worker processes.", least=1),
    Setting("GSTACK_THREADS", int, 32, "Threads of one web worker.", least=4),
    Setting(
        "GSTACK_PROXY_PORT",
        int,
        0,
        "Port of a CONNECT proxy that leads Google's names here, for clients without an endpoint option; 0: none.",
        least=0,
        most=PORTS,
    ),
    Setting("GSTACK_PROXY_ADDRESS", str, "localhost", "Name or address that proxy listens on.", pattern=HOST),
    Setting("GSTACK_PUBLIC_URL", str, "", "How clients reach the gateway, where it is not the bind address."),
    Setting(
        "GSTACK_LITERAL_BEARER",
        str,
        "auto",
        "Accept 'API_KEY:SECRET_KEY' itself as a bearer token; auto: only where none but this machine gets here.",
        choices=("auto", "on", "off"),
    ),
    Setting("DATABASE_URL", str, "", "SQLAlchemy URL of the store; empty: SQLite, gstack.db in PATH."),
    Setting("SECRET_KEY_FILE", str, "", "Keys that seal secrets at rest; empty: secret.keys in PATH."),
    Setting("CLOUDSTACK_HOST", str, "localhost", "Name or address of the CloudStack management server.", pattern=HOST),
    Setting("CLOUDSTACK_PORT", int, 8080, "Its API port.", least=1, most=PORTS),
    Setting("CLOUDSTACK_PROTOCOL", str, "http", "http or https.", choices=("http", "https")),
    Setting("CLOUDSTACK_PATH", str, "/client/api", "Path of its API.", pattern=r"/[!-~]*"),
    Setting("CLOUDSTACK_CA_FILE", str, "", "CA bundle that CloudStack's certificate is verified with."),
    Setting("CLOUDSTACK_CONNECT_TIMEOUT", float, 5.0, "Seconds to wait for a connection.", least=0.01),
    Setting("CLOUDSTACK_READ_TIMEOUT", float, 60.0, "Seconds to wait for an answer.", least=0.01),
    Setting("CLOUDSTACK_POOL_SIZE", int, 32, "Connections kept open by one process.", least=1),
    Setting("CATALOGUE_TTL", int, 300, "Seconds that zones, offerings and templates stay cached.", least=0),
    Setting("ACCESS_TOKEN_SECONDS", int, 3600, "Life of an access token.", least=60),
    Setting("OPERATION_HOLD_SECONDS", float, 20.0, "How long a mutation's answer waits for its operation.", least=0),
    Setting("OPERATION_WAIT_SECONDS", float, 120.0, "How long operations.wait blocks at the most.", least=0),
    Setting(
        "OPERATION_CONCURRENCY",
        int,
        16,
        "Operations run at the same time, three quarters for one project.",
        least=1,
    ),
    Setting("OPERATION_RETENTION_DAYS", int, 14, "Days a finished operation stays listed.", least=1),
    Setting(
        "JOB_POLL_SECONDS",
        float,
        0.02,
        "First interval between looks at a CloudStack job; each is half as long again, up to 2 s.",
        least=0.01,
    ),
    Setting("REGIONS", dict, {}, "Zone name to region name, where the rule of the last character is wrong."),
    Setting("MACHINE_TYPE_ALIASES", dict, {}, "GCE machine type name to service offering name."),
    Setting("DISK_TYPE_ALIASES", dict, {}, "GCE disk type name to disk offering name."),
    Setting("IMAGE_PROJECTS", dict, {}, "Template id or name to 'project/family', for public images."),
    Setting(
        "NETWORK_MODEL",
        str,
        "isolated",
        "What a subnetwork of a new network is in CloudStack: an isolated network, or a tier of a VPC.",
        choices=("isolated", "vpc"),
    ),
    Setting(
        "VPC_RANGE",
        str,
        "",
        "Range of every new VPC; empty: the private block (RFC 1918) that holds its first subnetwork.",
        pattern=rf"({OCTET}(\.{OCTET}){{3}}/[12]?[0-9])?",
    ),
    Setting("LOG_LEVEL", str, "INFO", "Least level logged.", choices=("DEBUG", "INFO", "WARNING", "ERROR")),
    Setting("LOG_FORMAT", str, "console", "console or json.", choices=("console", "json")),
)
BY_NAME: dict[str, Setting] = {setting.name: setting for setting in SETTINGS}


def example() -> str:
    """A ``gstack.conf`` with every setting, its meaning and its default, commented out."""
    lines = [
        "# gstack's settings with their defaults: Python-style constants, parsed and never run.",
        "# gstack-configure writes ~/.gstack/gstack.conf; the environment overrides each one as GSTACK_CONF_<NAME>.",
        "",
    ]
    for setting in SETTINGS:
        choices = f" One of {', '.join(setting.choices)}." if setting.choices else ""
        lines += [f"# {setting.doc}{choices}", f"#{setting.name} = {setting.default!r}", ""]
    return "\n".join(lines)


class Settings(Mapping[str, Any]):
    """The values in force, read as ``settings["GSTACK_PORT"]``; unknown names raise at once."""

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        given = dict(values or {})
        self._values = {
            setting.name: _checked(setting, given.pop(setting.name, setting.default), "settings")
            for setting in SETTINGS
        }
        for name in given:
            raise _unknown(name, "settings")

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    @property
    def folder(self) -> Path:
        """PATH, with ``~`` expanded."""
        return Path(self["PATH"]).expanduser()

    def file(self, name: str, default: str) -> Path:
        """The file that setting ``name`` gives, or ``default`` in PATH."""
        return Path(self[name]).expanduser() if self[name] else self.folder / default

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the store."""
        return self["DATABASE_URL"] or f"sqlite:///{self.folder / 'gstack.db'}"

    @property
    def proxy_is_open(self) -> bool:
        """Whether other machines reach the gateway through its CONNECT proxy."""
        return bool(self["GSTACK_PROXY_PORT"]) and not is_loopback(self["GSTACK_PROXY_ADDRESS"])

    @property
    def only_from_here(self) -> bool:
        """Whether nobody but this machine reaches the gateway: a public URL of another name is that of a proxy."""
        named = is_loopback(urlsplit(self.public_url).hostname or "") if self["GSTACK_PUBLIC_URL"] else True
        return named and is_loopback(self["GSTACK_BIND_ADDRESS"]) and not self.proxy_is_open

    @property
    def tls_ends_before(self) -> bool:
        """Whether clients speak TLS to a proxy in front of the gateway, which then sees plain HTTP."""
        return not self["GSTACK_TLS"] and urlsplit(self.public_url).scheme == "https"

    @property
    def cloudstack_url(self) -> str:
        """The API endpoint of CloudStack."""
        return (
            f"{self['CLOUDSTACK_PROTOCOL']}://{self['CLOUDSTACK_HOST']}:{self['CLOUDSTACK_PORT']}"
            f"{self['CLOUDSTACK_PATH']}"
        )

    @property
    def public_url(self) -> str:
        """Root URL that clients use, without a trailing slash."""
        if self["GSTACK_PUBLIC_URL"]:
            return str(self["GSTACK_PUBLIC_URL"]).rstrip("/")
        scheme = "https" if self["GSTACK_TLS"] else "http"
        host = self["GSTACK_BIND_ADDRESS"]
        if host in ("0.0.0.0", "::"):  # noqa: S104 - listening everywhere is no name to call
            host = "localhost"
        return f"{scheme}://{host}:{self['GSTACK_PORT']}"


def load(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from ``path`` (which must exist when given; default ``~/.gstack/gstack.conf`` if it is there), then
    from ``environment`` (default: the process's). Raises :class:`SettingsError`."""
    environment = os.environ if environment is None else environment
    chosen = path or Path("~/.gstack/gstack.conf").expanduser()
    values: dict[str, Any] = {}
    if path is not None or chosen.exists():
        values |= read_file(chosen)
    for name, text in environment.items():
        if name.startswith(ENVIRONMENT_PREFIX):
            setting = BY_NAME.get(name.removeprefix(ENVIRONMENT_PREFIX))
            if setting is None:
                raise _unknown(name.removeprefix(ENVIRONMENT_PREFIX), "the environment")
            values[setting.name] = _from_text(setting, text)
    return Settings(values)


def is_loopback(address: str) -> bool:
    """Whether a name or an address, as it is written, is this machine's own and no other's."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def read_file(path: Path) -> dict[str, Any]:
    """The constants of one configuration file. A file that others may write, or that another user owns, is
    refused."""
    try:
        with path.open(encoding="utf-8") as file:
            found = os.fstat(file.fileno())
            text = file.read()
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}. Make it with gstack-configure.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not a text file in UTF-8.") from error
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise SettingsError(f"{path} may be written by others. Run: chmod go-w {path}")
    if found.st_uid not in (0, os.geteuid()):
        raise SettingsError(f"{path} belongs to another user, who may write it. Run: chown {os.geteuid()} {path}")
    try:
        tree = ast.parse(text, filename=str(path))
    except UNREADABLE as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise SettingsError(f"{path}{line}: not a Python-style constant.") from error
    values: dict[str, Any] = {}
    for node in tree.body:
        name, value = _constant(node, path)
        if name not in BY_NAME:
            raise _unknown(name, f"{path}, line {node.lineno}")
        values[name] = _checked(BY_NAME[name], value, f"{path}, line {node.lineno}")
    return values


def _constant(node: ast.stmt, path: Path) -> tuple[str, Any]:
    target = node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
    if not isinstance(node, ast.Assign) or not isinstance(target, ast.Name):
        raise SettingsError(f"{path}, line {node.lineno}: expected NAME = value.")
    try:
        return target.id, ast.literal_eval(node.value)
    except UNREADABLE as error:
        raise SettingsError(f"{path}, line {node.lineno}: {target.id} must be a plain value, not code.") from error


def _from_text(setting: Setting, text: str) -> Any:
    where = f"the environment ({ENVIRONMENT_PREFIX}{setting.name})"
    if setting.kind is str:
        return _checked(setting, text, where)
    if setting.kind is bool:
        text = {"true": "True", "1": "True", "false": "False", "0": "False"}.get(text.lower(), text)
    try:
        return _checked(setting, ast.literal_eval(text), where)
    except UNREADABLE as error:
        raise SettingsError(_wrong_type(setting, text, where)) from error


def _checked(setting: Setting, value: Any, where: str) -> Any:
    if setting.kind is int and isinstance(value, str) and value.isdigit():
        value = int(value)  # the original gstack.conf wrote GSTACK_PORT = '5000'
    if setting.kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, setting.kind) or (setting.kind is not bool and isinstance(value, bool)):
        raise SettingsError(_wrong_type(setting, value, where))
    if setting.choices and value not in setting.choices:
        raise SettingsError(f"{setting.name} in {where} must be one of {', '.join(setting.choices)}, not {value!r}.")
    if setting.least is not None and isinstance(value, int | float) and value < setting.least:
        raise SettingsError(f"{setting.name} in {where} must be at least {setting.least}, not {value!r}.")
    if setting.most is not None and isinstance(value, int | float) and value > setting.most:
        raise SettingsError(f"{setting.name} in {where} must be at most {setting.most}, not {value!r}.")
    if setting.pattern and not re.fullmatch(setting.pattern, str(value)):
        raise SettingsError(f"{setting.name} in {where} cannot be {value!r}. {setting.doc}")
    if isinstance(value, dict) and not all(isinstance(text, str) for pair in value.items() for text in pair):
        raise SettingsError(f"{setting.name} in {where} must map text to text, not {value!r}.")
    return value


def _wrong_type(setting: Setting, value: Any, where: str) -> str:
    return f"{setting.name} in {where} must be of type {setting.kind.__name__}, not {value!r}."


def _unknown(name: str, where: str) -> SettingsError:
    near = difflib.get_close_matches(name, BY_NAME, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]}?" if near else " All are shown by: gstack-configure --example"
    return SettingsError(f"Unknown setting {name} in {where}.{hint}")
