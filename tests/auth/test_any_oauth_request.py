"""Whatever a client sends to an OAuth endpoint, it is never a server error, and nothing goes anywhere but home.

Apart from the tests of each endpoint: here the requests are made up. The surprising thing: Authlib raises ValueError
for some texts that it would have to repeat, which must not get so far.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import HOST, Room
from .test_consent import CHALLENGE, GCLOUD, LOOPBACK, OOB, VERIFIER

SETTINGS = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["", "code", "token", "S256", "plain", "openid", "a b", '"', "\\", "%zz", "gst_x", "a:b", "a.b.c"]),
    st.sampled_from([GCLOUD, LOOPBACK, OOB, CHALLENGE, VERIFIER, "http://[::1", "http://localhost:1/?a=%", "open.x"]),
)
ASKED = ("response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method")
GRANTS = st.sampled_from(
    [
        "authorization_code",
        "client_credentials",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    ]
)
SENT = (
    *("code", "redirect_uri", "client_id", "client_secret", "code_verifier", "scope", "refresh_token", "assertion"),
    *("subject_token", "subject_token_type", "requested_token_type", "token", "token_type_hint"),
)


def some(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(st.sampled_from(names), TEXTS, max_size=len(names))


@SETTINGS
@given(asked=some(ASKED), usual=st.booleans())
def test_any_authorization_request_is_answered_with_a_page_or_a_way_home(
    room: Room, asked: dict[str, str], usual: bool
) -> None:
    base = {"response_type": "code", "client_id": GCLOUD, "redirect_uri": LOOPBACK} if usual else {}
    answer = room.client.get("/o/oauth2/auth", query_string=base | asked, base_url=f"https://{HOST}")
    assert answer.status_code in (200, 303, 400), answer.text
    if "Location" in answer.headers:
        assert urlsplit(answer.headers["Location"]).hostname in ("localhost", "127.0.0.1", "::1")


@SETTINGS
@given(grant=st.one_of(GRANTS, TEXTS), sent=some(SENT), header=st.one_of(st.none(), st.text(max_size=30)))
def test_any_token_request_is_refused_in_oauths_shape(
    room: Room, grant: str, sent: dict[str, str], header: str | None
) -> None:
    headers = {"Authorization": f"Basic {header.encode().hex()}"} if header is not None else {}
    answer: Any = room.client.post("/token", data={"grant_type": grant} | sent, headers=headers)
    assert answer.status_code in (400, 401, 429), answer.text
    assert set(answer.json) == {"error", "error_description"} and answer.json["error"] != "server_error"


@SETTINGS
@given(sent=some(SENT), query=some(("token", "access_token", "id_token", "x")))
def test_any_question_about_a_token_is_answered(room: Room, sent: dict[str, str], query: dict[str, str]) -> None:
    for path in ("/revoke", "/introspect", "/tokeninfo"):
        answer = room.client.post(path, data=sent, query_string=query)
        assert answer.status_code in (200, 400, 401), answer.text
