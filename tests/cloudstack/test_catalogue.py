"""The catalogue: kept for a while, asked once, never shared between accounts."""

from __future__ import annotations

import threading

import pytest

from gstack.cloudstack.catalogue import Catalogue
from gstack.cloudstack.errors import Unavailable
from gstack.settings import Settings


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0
        self.asked = threading.Semaphore(0)

    def __call__(self) -> float:
        self.asked.release()
        self.now += 0.001
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def catalogue(clock):
    return Catalogue(Settings({"CATALOGUE_TTL": 300}), clock)


@pytest.fixture
def zones(fake):
    fake.answers["listZones"] = {"count": 1, "zone": [{"id": "z"}]}
    return ({"id": "z"},)


def test_an_answer_is_kept_until_its_time_is_up(fake, cloud, catalogue, clock, zones):
    assert catalogue.zones(cloud) == catalogue.zones(cloud) == zones
    assert len(fake.seen) == 1
    clock.now += 301
    assert catalogue.zones(cloud) == zones
    assert len(fake.seen) == 2


def test_refresh_asks_again(fake, cloud, catalogue, zones):
    catalogue.zones(cloud)
    fake.answers["listZones"] = {}
    assert catalogue.zones(cloud, refresh=True) == ()


def test_networks_are_kept_for_a_shorter_time(fake, cloud, catalogue, clock):
    catalogue.networks(cloud)
    clock.now += 31
    catalogue.networks(cloud)
    assert len(fake.seen) == 2


def test_accounts_and_projects_never_share_an_answer(fake, endpoint, cloud, catalogue, zones):
    catalogue.zones(cloud)
    catalogue.zones(cloud.within("project"))
    catalogue.zones(endpoint.cloud("k", "s", key="other"))
    assert len(fake.seen) == 3


def test_template_filters_are_kept_apart_and_forgotten_together(fake, cloud, catalogue):
    catalogue.templates(cloud, "featured")
    catalogue.templates(cloud, "self")
    assert [seen[1]["templatefilter"] for seen in fake.seen] == ["featured", "self"]
    catalogue.forget(cloud, "templates")
    catalogue.templates(cloud, "self")
    assert len(fake.seen) == 3


def test_apis_are_names(fake, cloud, catalogue):
    fake.answers["listApis"] = {"count": 2, "api": [{"name": "listZones"}, {"name": "listApis"}]}
    assert catalogue.apis(cloud) == {"listZones", "listApis"}


@pytest.mark.parametrize("kind", ["service_offerings", "disk_offerings", "os_types"])
def test_every_kind_asks_its_own_command(fake, cloud, catalogue, kind):
    assert getattr(catalogue, kind)(cloud) == ()
    assert fake.seen[0][1]["command"].lower() == "list" + kind.replace("_", "")


def test_many_threads_that_miss_at_once_ask_once(fake, cloud, catalogue):
    asked, go = threading.Event(), threading.Event()

    def slow(_params):
        asked.set()
        go.wait(30)
        return {"count": 1, "zone": [{"id": "z"}]}

    fake.answers["listZones"] = slow
    found = []
    threads = [threading.Thread(target=lambda: found.append(catalogue.zones(cloud))) for _ in range(8)]
    for thread in threads:
        thread.start()
    asked.wait(30)
    go.set()
    for thread in threads:
        thread.join()
    assert found == [({"id": "z"},)] * 8
    assert len(fake.seen) == 1


def test_a_failure_is_shared_by_those_who_waited_and_by_nobody_after(fake, cloud, catalogue, clock):
    fake.answers["listZones"] = (200, b"garbage")
    entry = catalogue._entry((cloud.key, "zones"))
    errors = []

    def ask():
        with pytest.raises(Unavailable) as caught:
            catalogue.zones(cloud)
        errors.append(caught.value)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    with entry.lock:
        for thread in threads:
            thread.start()
        assert all(clock.asked.acquire(timeout=30) for _ in threads)
    for thread in threads:
        thread.join()
    assert len(errors) == 4
    assert len(fake.seen) == 1
    fake.answers["listZones"] = {}
    assert catalogue.zones(cloud) == ()


def test_the_answers_used_longest_ago_are_dropped(fake, cloud, catalogue, monkeypatch, zones):
    monkeypatch.setattr("gstack.cloudstack.catalogue.LARGEST", 2)
    for what in (catalogue.zones, catalogue.os_types, catalogue.networks, catalogue.zones):
        what(cloud)
    assert [seen[1]["command"] for seen in fake.seen].count("listZones") == 2


def test_what_is_made_of_rows_is_made_once_and_anew_when_they_are_asked_for_again(fake, cloud, catalogue, clock, zones):
    made = []

    def make(rows):
        made.append(rows)
        return len(made)

    assert [catalogue.zones(cloud).made("count", make) for _ in range(3)] == [1, 1, 1]
    assert catalogue.zones(cloud).made("another", make) == 2
    assert catalogue.zones(cloud, refresh=True).made("count", make) == 3
    assert made[-1] is catalogue.zones(cloud)
