"""The guard: who is calling, and what does the project of the URL mean to them? Every method passes here.

Apart from the credentials because it knows requests. The surprising thing: a refusal never says why. A token
that is unknown, expired or revoked, a forged JWT and a dead key pair all get GCE's one sentence; the reason
is logged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import flask
from werkzeug.datastructures import Headers

from gstack.auth import assertions, audit, tokens
from gstack.auth.expiring import Expiring
from gstack.auth.grant import Grant, grant_of
from gstack.auth.identity import Refused
from gstack.auth.issuers import Issuers
from gstack.auth.keyring import Keyring
from gstack.auth.limiter import TooManyFailures
from gstack.auth.projects import Projects
from gstack.cloudstack.catalogue import Catalogue
from gstack.cloudstack.client import Endpoint
from gstack.errors import GceError, Problem, not_found
from gstack.settings import Settings
from gstack.store.sealing import Sealer
from gstack.translate import images
from gstack.translate.caller import Caller, Project

# A role may have been extended since listApis was asked; the answer is 2 MB, so it is not asked often.
APIS_MISS_SECONDS = 300
LONGEST_BEARER = assertions.LONGEST
_EXPECTED = (
    "Expected OAuth 2 access token, login cookie or other valid authentication credential. "
    "See https://developers.google.com/identity/sign-in/web/devconsole-project."
)


class Gatekeeper:
    """The guard of one process. ``clock`` gives seconds since 1970."""

    def __init__(
        self,
        settings: Settings,
        endpoint: Endpoint,
        catalogue: Catalogue,
        sealer: Sealer,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.sealer = sealer
        self.keyring = Keyring(endpoint, sealer, clock)
        self.issuers = Issuers(settings, clock)
        self._projects = Projects(self.keyring, clock)
        self._catalogue = catalogue
        self._asked_apis: Expiring[bool] = Expiring(APIS_MISS_SECONDS, clock)

    def authenticate(self, headers: Mapping[str, str] | Headers, query: Mapping[str, str]) -> Grant:
        """The grant behind a request's bearer token. Raises GceError authError (or rateLimitExceeded after
        too many wrong literal key pairs, or backendError when one cannot be checked)."""
        bearer = bearer_of(headers, query)
        if not bearer:
            missing = "Request is missing required authentication credential."
            raise _unauthenticated(f"{missing} {_EXPECTED}", "required")
        host = headers.get("Host") or _request_host()
        remembered = f"{tokens.hashed(bearer)} {host}"
        grant = self.keyring.grants.get(remembered)
        forgotten = grant is not None and _changes_something() and self.keyring.credential(grant.credential_id) is None
        if grant is None or forgotten or grant.expires_at <= self.keyring.now:
            grant = self._grant(bearer, host)
            self.keyring.grants.put(remembered, grant)
        audit.bind(grant)
        return grant

    def enter(self, grant: Grant, project: str, *, public: bool = False) -> Caller:
        """The caller inside ``project``. Raises GceError notFound, with the same words whether it exists or
        not, and authError when CloudStack no longer accepts the key pair."""
        try:
            self.keyring.confirm(grant)
            found = self._projects.find(grant, project)
            if found is None and public:
                found = self._image_project(grant, project)
            if found is None:
                raise not_found(f"projects/{project}")
            audit.bind_project(found.id)
            return self._caller(grant, found)
        except Refused as error:
            raise self.refused(str(error)) from None

    def reachable(self, grant: Grant) -> list[Project]:
        """Every project that the grant's user reaches, its own account first. Raises as :meth:`enter`."""
        try:
            self.keyring.confirm(grant)
            return list(self._projects.all(grant).projects.values())
        except Refused as error:
            raise self.refused(str(error)) from None

    def require(self, caller: Caller, commands: tuple[str, ...]) -> None:
        """GceError notImplemented that names the first of ``commands`` which the caller's CloudStack
        lacks."""
        if not commands:
            return
        allowed = caller.catalogue.apis(caller.cloud)
        if not allowed.issuperset(commands) and self._asked_apis.get(caller.cloud.key) is None:
            allowed = caller.catalogue.apis(caller.cloud, refresh=True)
            self._asked_apis.put(caller.cloud.key, True)
        for command in commands:
            if command not in allowed:
                raise GceError(
                    "notImplemented",
                    f"This method needs CloudStack's command {command}, which CloudStack does not offer to "
                    f"the account '{caller.project.account}'.",
                )

    def literal_allowed(self) -> bool:
        """Whether an API key and secret key may themselves be a bearer token (GSTACK_LITERAL_BEARER)."""
        chosen = self.settings["GSTACK_LITERAL_BEARER"]
        return chosen == "on" or (chosen == "auto" and self.settings.only_from_here)

    def _grant(self, bearer: str, host: str) -> Grant:
        if len(bearer) > LONGEST_BEARER:
            raise self.refused("the bearer token is too long")
        if ":" in bearer:
            return self._literal(bearer)
        if assertions.looks_like_jwt(bearer):
            return self._self_signed(bearer, host)
        grant = tokens.find(bearer, self.keyring.now)
        if grant is None:
            raise self.refused("unknown, expired or revoked access token")
        return grant

    def _literal(self, bearer: str) -> Grant:
        if not self.literal_allowed():
            raise self.refused("literal bearer tokens are switched off (GSTACK_LITERAL_BEARER)")
        api_key, _, secret_key = bearer.partition(":")
        try:
            return self.keyring.admit(api_key, secret_key, request_address())
        except Refused as error:
            raise self.refused(str(error)) from None
        except TooManyFailures as error:
            raise GceError("rateLimitExceeded", str(error), retry_after=error.retry_after) from None

    def _self_signed(self, bearer: str, host: str) -> Grant:
        try:
            claims = assertions.verified_claims(bearer, self.keyring.public_keys, self.keyring.now)
            assertions.check_bearer(claims, own_hosts(host, self.settings))
        except assertions.BadAssertion as error:
            raise self.refused(str(error)) from None
        credential = self.keyring.service_account(claims.issuer)
        if credential is None:
            raise self.refused("the service account was revoked")
        return grant_of(credential, "jwt", claims.expires_at)

    def refused(self, reason: str) -> GceError:
        """GCE's one sentence for every bearer that is not accepted; the reason goes to the log alone."""
        audit.refused("bearer", reason)
        return _unauthenticated(f"Request had invalid authentication credentials. {_EXPECTED}", "authError")

    def _caller(self, grant: Grant, project: Project) -> Caller:
        return Caller(
            credential_id=grant.credential_id,
            user=grant.user,
            cloud=self.keyring.cloud(grant, project.cloudstack_id),
            catalogue=self._catalogue,
            project=project,
            settings=self.settings,
        )

    def _image_project(self, grant: Grant, project: str) -> Project | None:
        """A project that belongs to nobody: one that clients know, or one whose images this caller may use."""
        if project not in images.public_projects(self.settings):
            own = self._caller(grant, self._projects.account(grant))
            if project not in images.of_caller(own).projects:
                return None
        return Project(
            id=project,
            name=project,
            cloudstack_id=None,
            account=grant.identity.account,
            domain_id=grant.identity.domain_id,
            public=True,
        )


def bearer_of(headers: Mapping[str, str] | Headers, query: Mapping[str, str]) -> str:
    """The bearer token of a request, from where Google's APIs take it; empty when there is none."""
    scheme, _, value = headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() in ("bearer", "oauth"):
        return value.strip()
    return query.get("access_token") or query.get("oauth_token") or ""


def own_hosts(host: str, settings: Settings) -> frozenset[str]:
    """The names by which this gateway may be meant: that of the request and the configured one, each with and
    without its port."""
    configured = settings.public_url.partition("://")[2]
    return frozenset(name for full in (host, configured) for name in (full, _without_port(full)) if name)


def request_address() -> str:
    """Where the request under way comes from; empty outside of one."""
    return (flask.request.remote_addr or "") if flask.has_request_context() else ""


def _request_host() -> str:
    return flask.request.host if flask.has_request_context() else ""


def _changes_something() -> bool:
    """Whether the request under way may start an operation, which needs the credential that it comes with."""
    return flask.has_request_context() and flask.request.method not in ("GET", "HEAD", "OPTIONS")


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def _unauthenticated(sentence: str, reason: str) -> GceError:
    short = "Login Required." if reason == "required" else "Invalid Credentials"
    problem = Problem(short, "Authorization", reason, "header")
    return GceError("authError", sentence, problems=(problem,))
