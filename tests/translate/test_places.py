"""Zones and regions of CloudStack's zones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gstack.translate.names import is_label
from gstack.translate.places import places


def zones(*names):
    return [{"id": f"id-{name}", "name": name, "allocationstate": "Enabled"} for name in names]


def shown(found):
    return [(place.name, place.region, place.cloudstack_name) for place in found]


def test_a_zone_that_ends_in_one_character_belongs_to_the_region_before_it():
    assert shown(places(zones("ch-gva-2", "de-fra-1"))) == [
        ("ch-gva-2", "ch-gva", "ch-gva-2"),
        ("de-fra-1", "de-fra", "de-fra-1"),
    ]


def test_any_other_zone_is_shown_with_an_a_and_still_found_under_its_own_name():
    found = places(zones("Zürich", "torviqfoo"))
    assert shown(found) == [("torviqfoo-a", "torviqfoo", "torviqfoo"), ("z-rich-a", "z-rich", "Zürich")]
    assert found.zone("ZÜRICH") is found.zone("z-rich-a") is not None


def test_a_zone_is_found_by_its_id():
    found = places(zones("ch-gva-2"))
    assert found.of("id-ch-gva-2") is found.zone("ch-gva-2")
    assert found.of(None) is None


def test_what_is_in_a_zone_that_is_no_longer_listed_is_shown_there_all_the_same():
    found = places(zones("ch-gva-2"))
    assert found.shown({"zoneid": "id-ch-gva-2", "zonename": "x"}) is found.zone("ch-gva-2")
    gone = found.shown({"zoneid": "id-gone", "zonename": "Old Zone"})
    assert (gone.id, gone.name, gone.cloudstack_name) == ("id-gone", "old-zone", "Old Zone")


def test_there_is_no_zone_of_another_name():
    assert places(zones("ch-gva-2")).zone("ch-gva-3") is None


def test_regions_hold_their_zones():
    found = places(zones("ch-gva-2", "ch-gva-1", "at-vie-1"))
    assert {region: [place.name for place in members] for region, members in found.regions().items()} == {
        "at-vie": ["at-vie-1"],
        "ch-gva": ["ch-gva-1", "ch-gva-2"],
    }
    assert [place.name for place in found.region("ch-gva")] == ["ch-gva-1", "ch-gva-2"]
    assert found.region("nowhere") == ()


def test_settings_put_zones_into_a_region_with_letters_in_their_order():
    overrides = {"Zurich 1": "europe-west6", "Bern": "europe-west6", "europe-west6-c": "europe-west6"}
    found = places(zones("Bern", "europe-west6-c", "Zurich 1"), overrides)
    assert shown(found) == [
        ("europe-west6-a", "europe-west6", "Zurich 1"),
        ("europe-west6-b", "europe-west6", "Bern"),
        ("europe-west6-c", "europe-west6", "europe-west6-c"),
    ]
    assert places(zones("Bern"), overrides).zone("Bern").name == "europe-west6-b"


def test_a_name_that_fits_is_never_taken_away_by_a_zone_that_clashes():
    found = places(zones("CH GVA 2", "ch-gva-2"))
    assert found.zone("ch-gva-2").cloudstack_name == "ch-gva-2"
    assert found.zone("CH GVA 2").name == "ch-gva-a"


def test_a_disabled_zone_is_down():
    assert places([{"id": "1", "name": "a-b", "allocationstate": "Disabled"}]).zone("a-b").status == "DOWN"
    assert places(zones("a-b")).zone("a-b").status == "UP"


def test_the_kind_of_network_is_at_hand():
    (place,) = places([{"id": "1", "name": "a-b", "networktype": "Basic", "securitygroupsenabled": True}])
    assert place.basic
    assert place.security_groups


NAMES = st.sampled_from(["a-1", "A-1", "a", "a-a", "b c", "1-1", "x" * 70]) | st.text(min_size=1, max_size=70)


@given(st.lists(NAMES, unique=True, max_size=6))
def test_every_zone_is_its_region_and_two_characters(names):
    found = places(zones(*names))
    assert len({place.name for place in found}) == len(names)
    for place in found:
        assert is_label(place.name)
        assert place.name[:-2] == place.region
        assert place.name[-2] == "-"


@given(st.lists(NAMES, unique=True, max_size=6), st.randoms())
def test_the_order_of_the_listing_does_not_matter(names, random):
    shuffled = zones(*names)
    random.shuffle(shuffled)
    assert shown(places(shuffled)) == shown(places(zones(*names)))


def test_more_zones_than_letters_are_still_told_apart():
    rows = [{"id": f"{number:08x}-x", "name": "a" + "!" * number} for number in range(40)]
    assert len({place.name for place in places(rows)}) == 40
