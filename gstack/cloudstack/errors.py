"""What CloudStack says when it does not do as asked, and which of GCE's error kinds that is.

    GceError
    └── CloudStackError      it answered with an error, at once or in a job
        ├── Unauthorized     401: a bad key or signature, a disabled account, or a command it does not know
        ├── Throttled        429: the account's API limit
        ├── JobGone          the job is unknown: finished jobs are forgotten after a day
        └── Unavailable      no usable answer: refused, timed out, cut, garbage, 5xx of a proxy

Apart from :mod:`gstack.errors`, which knows nothing of CloudStack. The surprising thing: code 431 covers a
wrong value, an unknown entity, a wrong state and a duplicate alike, so for it the text decides, and 530
hides its cause from ordinary users. Check the state first; the table is for races. Rules were taken from a
recorded CloudStack 4.22.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from gstack.errors import GceError

LONGEST_TEXT = 1000
UNAVAILABLE_RETRY_SECONDS = 5

# Names of query parameters whose values never leave the process.
_SECRETS = re.compile(
    r"\b(api_?key|secret_?key|session_?key|signature|password|userdata|privatekey|token)([\"']?\s*[=:]\s*[\"']?)[^\s&\"',;]+",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Rule:
    """``kind`` is given where ``code`` is equal (None: any), and ``text`` and ``command`` are found (empty:
    any)."""

    code: int | None
    text: str
    kind: str
    command: str = ""


RULES: tuple[Rule, ...] = (
    Rule(400, "", "badRequest"),
    Rule(401, "", "authError"),
    Rule(413, "", "uploadTooLarge"),
    Rule(414, "", "uploadTooLarge"),
    Rule(429, "", "rateLimitExceeded"),
    Rule(533, "", "stockout"),
    Rule(535, "", "quotaExceeded"),
    Rule(536, "", "resourceInUseByAnotherResource"),
    # Inside a job a limit that is reached has code 530.
    Rule(None, "Maximum amount of resources", "quotaExceeded"),
    Rule(None, "There is not enough .* capacity|Insufficient .*capacity|No destination found", "stockout"),
    # No host was left that could take the machine: VirtualMachineManagerImpl.orchestrateStart.
    Rule(None, "Unable to create a deployment for", "stockout"),
    Rule(432, "does not exist or is not available", "notImplemented"),
    Rule(432, "", "invalid"),  # resizeVolume without shrinkok, in its job
    Rule(531, "currently disabled", "failedPrecondition"),
    Rule(531, "", "forbidden"),
    Rule(537, "already (assigned|associated|has)|to antoher vm", "resourceInUseByAnotherResource"),
    Rule(537, "", "conflict"),
    # 431, 430 and job errors by text. Duplicates first: some of their texts also say "does not" or "Unable".
    Rule(None, "[Aa]lready exists", "alreadyExists"),
    Rule(None, "^tag .* already on ", "alreadyExists"),
    Rule(431, "Not upgrading vm .* already has the requested", "failedPrecondition"),
    Rule(None, "does not have permission|you are not allowed|can only be done by an Admin", "forbidden"),
    Rule(None, "The owner of .* is disabled", "forbidden"),
    Rule(
        None,
        "not attached to any VM|as its used by|is still associated|clean up|source nat purposes"
        "|because VM instances|already assigned|already associated with|has static nat enabled|in use",
        "resourceInUseByAnotherResource",
    ),
    # Hidden cause; what was seen is a network that machines, even destroyed ones, still hold.
    Rule(530, "^Failed to delete network$", "resourceInUseByAnotherResource", "Network"),
    Rule(
        None,
        "(should|must) be stopped|make sure the virtual machine is stopped|not Stopped"
        "|is not running|already running|not in Ready state|not in the shutdown state|no usable volumes"
        "|only when vm is in states|Please destroy vm|specify a volume in Destroy state",
        "resourceNotReady",
    ),
    Rule(None, "delete protection", "failedPrecondition"),
    Rule(None, "supported only for KVM|not supported in zone|cannot support this rule", "unsupported"),
    Rule(
        None,
        "entity does not exist|[Uu]nable to find|Nonexistent|doesn't exist|does not exist|keypairs exist"
        "|is already destroyed|find an api by that name",
        "notFound",
    ),
    Rule(530, "Incorrect string value|Invalid ICMP", "invalid"),
    Rule(430, "", "invalid"),
    Rule(431, "", "invalid"),
    Rule(530, "", "backendError"),
)


class CloudStackError(GceError):
    """CloudStack's refusal or failure.

    ``command`` is what was asked, ``code`` CloudStack's error code (431 ...), ``cscode`` its finer code or
    None, ``text`` its own words without secrets.
    """

    def __init__(
        self,
        command: str,
        code: int,
        text: str,
        *,
        cscode: int | None = None,
        kind: str | None = None,
        secrets: Iterable[str] = (),
        retry_after: int | None = None,
    ) -> None:
        text = scrub(text, secrets)
        kind = kind or kind_of(command, code, text)
        super().__init__(kind, _message(command, code, text, kind), retry_after=retry_after)
        self.command = command
        self.code = code
        self.cscode = cscode
        self.text = text


class Unauthorized(CloudStackError):
    """401. A wrong key, a bad signature, a disabled user and an unknown command all look the same."""


class Throttled(CloudStackError):
    """429. ``retry_after`` is taken from the text: CloudStack sends no Retry-After."""


class JobGone(CloudStackError):
    """CloudStack does not know the job (any more)."""


class Unavailable(CloudStackError):
    """No usable answer. ``sent`` says whether CloudStack may have received, and acted on, the command."""

    def __init__(self, command: str, text: str, *, sent: bool, secrets: Iterable[str] = ()) -> None:
        super().__init__(
            command,
            503,
            text,
            kind="backendError",
            secrets=secrets,
            retry_after=UNAVAILABLE_RETRY_SECONDS,
        )
        self.sent = sent


def kind_of(command: str, code: int, text: str) -> str:
    """The key of :data:`gstack.errors.KINDS` for an error of CloudStack's."""
    for rule in RULES:
        if rule.code in (None, code) and rule.command in command and re.search(rule.text, text):
            return rule.kind
    return "backendError" if code >= 500 else "invalid"


def cloudstack_error(
    command: str, code: int, text: str, *, cscode: int | None = None, secrets: Iterable[str] = ()
) -> CloudStackError:
    """The error of the right class for what CloudStack answered to ``command``, at once or in a job."""
    if code == 401:
        return Unauthorized(command, code, text, cscode=cscode, secrets=secrets)
    if code == 429:
        return Throttled(command, code, text, cscode=cscode, secrets=secrets, retry_after=_seconds_to_wait(text))
    return CloudStackError(command, code, text, cscode=cscode, secrets=secrets)


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` without ``secrets`` and without the values of parameters that are secret by name, cut to
    1,000 characters."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[hidden]")
    text = _SECRETS.sub(r"\1\2[hidden]", text)
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def _seconds_to_wait(text: str) -> int:
    found = re.search(r"retry after \[(\d+)\] ms", text)
    return max(1, math.ceil(int(found[1]) / 1000)) if found else 1


def _message(command: str, code: int, text: str, kind: str) -> str:
    if kind == "notImplemented":
        # The text names a user id that is made up anew for every call.
        return f"CloudStack's role for this account does not allow {command}, which the request needs."
    if kind == "authError":
        return (
            f"CloudStack did not accept the account's API key for {command}: {text}. The key may have been "
            "replaced or its user disabled."
        )
    return f"{text} (CloudStack {command}, error {code})"
