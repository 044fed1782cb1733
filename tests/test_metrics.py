"""What is counted and who may see it. That several processes count together: ``auth/test_nothing_leaks``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from gstack import metrics
from gstack.protocol.discovery import document
from gstack.protocol.methods import HANDLERS
from gstack.settings import Settings

ROOT = Path(__file__).parents[1]


def token_of(gateway: Any) -> str:
    return str((gateway.settings.folder / metrics.TOKEN_FILE).read_text().strip())


def scrape(gateway: Any) -> Any:
    return gateway.client.get("/metrics", headers={"Authorization": f"Bearer {token_of(gateway)}"})


def number(gateway: Any, name: str) -> float:
    lines = [line for line in scrape(gateway).text.splitlines() if line.startswith(name + " ")]
    return float(lines[0].rpartition(" ")[2]) if lines else 0.0


def test_requests_and_the_calls_behind_them_are_counted(gateway: Any) -> None:
    names = (
        'gstack_requests_total{method="compute.zones.list",status="200"}',
        'gstack_request_seconds_count{method="compute.zones.list"}',
        'gstack_upstream_calls_total{command="listZones",status="200"}',
    )
    before = [number(gateway, name) for name in names]
    gateway.get("zones")
    after = [number(gateway, name) for name in names]
    assert [new - old for new, old in zip(after, before, strict=True)][:2] == [1, 1]
    assert after[2] >= before[2] and after[2] > 0


@pytest.mark.parametrize(
    ("form", "label"),
    [
        ({"grant_type": "client_credentials", "client_id": "x", "client_secret": "y"}, "client_credentials"),
        ({"grant_type": 'evil"} 1\ninvented'}, "other"),
    ],
)
def test_refused_logins_are_counted_and_clients_write_no_label(gateway: Any, form: dict[str, str], label: str) -> None:
    name = f'gstack_logins_total{{grant="{label}",outcome="refused"}}'
    before = number(gateway, name)
    assert gateway.client.post("/token", data=form).status_code in (400, 401)
    assert number(gateway, name) == before + 1
    assert "evil" not in scrape(gateway).text


def test_a_method_that_is_not_served_has_no_label_of_its_own(gateway: Any) -> None:
    unserved = next(
        method
        for method in document().methods.values()
        if method.id not in HANDLERS and method.path.startswith("projects/<project>/global/") and method.verb == "list"
    )
    name = 'gstack_requests_total{method="other",status="501"}'
    before = number(gateway, name)
    gateway.refuse("GET", unserved.path.removeprefix("projects/<project>/"), status=501)
    assert number(gateway, name) == before + 1 and unserved.id not in scrape(gateway).text


def test_operations_are_counted_by_state(gateway: Any) -> None:
    lines = [line for line in scrape(gateway).text.splitlines() if line.startswith("gstack_operations{")]
    assert {line.split('"')[1] for line in lines} == {"pending", "running", "blocked", "done", "failed"}


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "192.0.2.1"])
@pytest.mark.parametrize("more", [{}, {"Host": "localhost"}, {"X-Forwarded-For": "127.0.0.1"}])
@pytest.mark.parametrize("given", ["", "Bearer", "Bearer ", "Bearer x", "Basic {}", "{}", "Bearer {}x", "Bearer é"])
def test_nobody_sees_them_without_their_token_wherever_they_come_from(
    gateway: Any, address: str, more: dict[str, str], given: str
) -> None:
    headers = {"Authorization": given.format(token_of(gateway)), **more}
    assert (
        gateway.client.get("/metrics", headers=headers, environ_overrides={"REMOTE_ADDR": address}).status_code == 404
    )


def test_a_token_of_a_user_does_not_show_them(gateway: Any) -> None:
    assert gateway.client.get("/metrics", headers={"Authorization": f"Bearer {gateway.token}"}).status_code == 404


def test_their_token_is_made_once_for_the_owner_only_and_may_be_replaced(tmp_path: Path) -> None:
    file = tmp_path / metrics.TOKEN_FILE

    def answer(token: str) -> int:
        app = Flask("metrics")
        metrics.register(app, dict, Settings({"PATH": str(tmp_path)}))
        return app.test_client().get("/metrics", headers={"Authorization": f"Bearer {token}"}).status_code

    assert answer("") == 404 and file.stat().st_mode & 0o777 == 0o600
    made = file.read_text().strip()
    assert len(made) >= 43 and answer(made) == 200 and file.read_text().strip() == made
    file.write_text("another\n")
    assert (answer(made), answer("another")) == (404, 200)
    file.write_text("")
    assert answer("") == 404


def test_a_batch_is_no_way_around_that(gateway: Any) -> None:
    part = "--b\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n--b--\r\n"
    kind = "multipart/mixed; boundary=b"
    answer = gateway.client.post("/batch", data=part, content_type=kind)
    assert "404" in answer.text and "gstack_" not in answer.text


def test_every_metric_is_documented(gateway: Any) -> None:
    documented = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    shown = {line.split()[2] for line in scrape(gateway).text.splitlines() if line.startswith("# TYPE")}
    assert len(shown) >= 6
    assert all(f"`{name}`" in documented for name in shown if not name.endswith("_created"))


def test_a_start_begins_at_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(metrics.SHARED, "")
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "counter_1.db").write_bytes(b"old")
    metrics.share(tmp_path)
    assert list((tmp_path / "metrics").iterdir()) == [] and (tmp_path / "metrics").stat().st_mode & 0o077 == 0
