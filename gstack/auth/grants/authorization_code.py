"""``authorization_code`` (RFC 6749, section 4.1, with PKCE, RFC 7636): ``gcloud auth login`` and gcutil's login.

Both halves: the consent page asks :class:`CodeGrant` for a code, the token endpoint redeems it. The surprising thing:
gcloud fails its login without an id_token, and takes the account's name from it.
"""

from __future__ import annotations

import hmac
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationCodeGrant, InvalidGrantError, InvalidRequestError
from authlib.oauth2.rfc7636 import CodeChallenge, create_s256_code_challenge

from gstack.auth import codes
from gstack.auth.codes import Code
from gstack.auth.grant import Grant
from gstack.auth.grants.base import confirmed
from gstack.auth.identity import Refused
from gstack.auth.wire import OAuthError

ANYBODY = "anybody"  # the user of a code that stands for nobody


class CodeGrant(AuthorizationCodeGrant):
    """Access token, refresh token and id_token for a code. One error for whatever is wrong with the code."""

    TOKEN_ENDPOINT_AUTH_METHODS = ["named"]

    def generate_authorization_code(self) -> str:
        """A code for the user who signed in, or for a client that will show a key pair."""
        guard, asked, user = self.server.guard, codes.asked(self.request.parameters), self.request.user
        if user is ANYBODY:
            return codes.unbound(asked, guard.sealer, guard.keyring.now)
        return codes.bound(asked, user.credential_id, guard.keyring.now)

    def save_authorization_code(self, code: str, request: Any) -> None:
        """It was kept when it was made."""

    def validate_token_request(self) -> None:
        """Authlib's checks, PKCE among them, in one sentence. Raises :class:`OAuthError`."""
        self.request.required("code")
        try:
            super().validate_token_request()
        except (InvalidGrantError, InvalidRequestError):
            raise _wrong_code() from None

    def query_authorization_code(self, code: str, client: Any) -> Code | None:
        """The code, which is gone from now on, good or bad: of two that redeem it at once, one finds it."""
        return codes.redeem(code, self.server.guard.sealer, client.client_id, self.server.guard.keyring.now)

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """It is gone already."""

    def authenticate_user(self, authorization_code: Code) -> Grant:
        """Who signed in; for an open code whose key pair the client shows."""
        keyring = self.server.guard.keyring
        if authorization_code.is_open:
            try:
                found: Grant = keyring.admit(*self.request.key_pair(), self.request.address)
            except Refused as error:
                raise OAuthError("invalid_client", str(error), status=401) from None
            if not codes.use_up(authorization_code, self.request.client_name(), found.credential_id):
                raise _wrong_code()
            return found
        credential = keyring.credential(authorization_code.credential_id)
        if credential is None:
            raise _wrong_code()
        return confirmed(self.server.guard, credential)


class Pkce(CodeChallenge):
    """S256 and nothing else, for a code that somebody signed in for; compared in constant time."""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]
    CODE_CHALLENGE_METHODS = {
        "S256": lambda verifier, challenge: hmac.compare_digest(create_s256_code_challenge(verifier), challenge)
    }

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        """As Authlib, and the method must be named: left out it means ``plain`` (RFC 7636, section 4.3)."""
        super().validate_code_challenge(grant, redirect_uri)
        asked = grant.request.parameters
        if "code_challenge" not in asked:
            return
        if asked.get("code_challenge_method") != "S256" or not codes.CHALLENGE.fullmatch(asked["code_challenge"]):
            raise InvalidRequestError("code_challenge_method must be S256.")

    def get_authorization_code_challenge_method(self, authorization_code: Code) -> str:
        """No other was let in."""
        return "S256"


def _wrong_code() -> OAuthError:
    return OAuthError("invalid_grant", "The code is wrong, used, or older than a minute.")
