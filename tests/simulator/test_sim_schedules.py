"""Schedules of machines: when they strike, and what they do then."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sim_cloud import Cloud

from gstack.simulator.cron import Cron

NOW = datetime(2026, 11, 21, 9, 23, 20)  # a Saturday


@pytest.mark.parametrize(
    ("text", "strikes"),
    [
        ("* * * * *", "2026-11-21T09:24"),
        ("0 0 * * *", "2026-11-22T00:00"),
        ("*/20 9-17 * * MON-FRI", "2026-11-23T09:00"),
        ("30 6 1,15 * ?", "2026-12-01T06:30"),
        ("0 12 29 FEB *", "2028-02-29T12:00"),
        ("5/15 9 * * 6", "2026-11-21T09:35"),
        ("0 8 * * 7", "2026-11-22T08:00"),
        ("0 8 13 * 5", "2027-08-13T08:00"),
        ("0 8 * * MON#2", "2026-12-14T08:00"),
        ("0 8 * * 7-1", "2026-11-22T08:00"),
    ],
)
def test_an_expression_strikes_next_at(text: str, strikes: str) -> None:
    assert Cron(text).after(NOW) == datetime.fromisoformat(strikes)


def test_a_day_that_never_comes_never_strikes() -> None:
    assert Cron("0 0 31 2 *").after(NOW) is None


@given(st.integers(0, 59), st.integers(1, 30), st.integers(0, 23), st.integers(0, 200_000))
def test_nothing_between_now_and_the_next_time_fits(first: int, step: int, hour: int, minutes: int) -> None:
    now = NOW + timedelta(minutes=minutes)
    strikes = Cron(f"{first}/{step} {hour} * * *").after(now)
    assert strikes is not None
    assert now < strikes <= now + timedelta(days=1, minutes=1)
    assert strikes.hour == hour
    assert strikes.minute >= first
    assert (strikes.minute - first) % step == 0
    wanted = range(first, 60, step)
    if strikes.date() == now.date() and now.hour == hour:
        assert not [minute for minute in wanted if now.minute < minute < strikes.minute]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nope", "must consist of 6 fields (found 2"),
        (
            "1,61 0 * * *",
            "Invalid value for MinuteOfHour (valid values 0 - 59): 61 '1,61' in cron expression \"0 1,61 0 * * *\"",
        ),
        ("0 0 0 * *", "Invalid value for DayOfMonth (valid values 1 - 28/31): 0 '0' in"),
        ("0 0 * * 8", "Invalid value for DayOfWeek (valid values 1 - 7): 8 '8' in"),
        ("0 0 * * MONDAY", "For input string: \"1DAY\" '1DAY' in"),
        ("? 0 * * *", "For input string: \"?\" '?' in"),
        ("0 0 L * *", "Failed to parse cron expression. Invalid chars in expression! Expression: L Invalid chars: L"),
        ("*/0 0 * * *", "Incrementer delta must be 1 or higher '*/0' in"),
        ("*/61 0 * * *", "Failed to parse cron expression. Period 61 not in range [0, 59]"),
        ("0 0 * * FRI-MON", "Minimum value must be less than maximum value '5-1' in cron expression"),
    ],
)
def test_what_is_no_expression_is_refused_in_the_servers_words(cloud: Cloud, text: str, words: str) -> None:
    key = cloud.deploy("vm")
    answer = plan(cloud, key, "STOP", text)
    assert (answer["errorcode"], words in answer["errortext"]) == (431, True)
    assert cloud.do("listVMSchedule", virtualmachineid=key) == {}


def plan(cloud: Cloud, key: str, action: str, cron: str, **more: object) -> dict:
    return cloud.do(
        "createVMSchedule", virtualmachineid=key, action=action, schedule=cron, **{"timezone": "UTC", **more}
    )


def until(cloud: Cloud, clock: str) -> str:
    """The machine's state shortly after a time of the day."""
    cloud.do("listZones")
    hour, minute = map(int, clock.split(":"))
    cloud.clock.now += (hour * 3600 + minute * 60 - cloud.clock.now) % 86_400 + 5
    cloud.do("listZones")
    cloud.clock.now += 20
    return str(cloud.do("listVirtualMachines")["virtualmachine"][0]["state"])


def test_a_machine_sleeps_at_night(cloud: Cloud) -> None:
    key = cloud.deploy("vm")
    plan(cloud, key, "STOP", "0 20 * * *")
    plan(cloud, key, "START", "0 7 * * *")
    states = [until(cloud, clock) for clock in ("19:00", "20:00", "06:00", "07:00", "20:00")]
    assert states == ["Running", "Stopped", "Stopped", "Running", "Stopped"]


def test_hours_are_those_of_the_time_zone(cloud: Cloud) -> None:
    plan(cloud, cloud.deploy("vm"), "STOP", "0 20 * * *", timezone="Asia/Tokyo")
    assert [until(cloud, clock) for clock in ("10:50", "11:00")] == ["Running", "Stopped"]


def test_an_unknown_time_zone_is_greenwich(cloud: Cloud) -> None:
    made = plan(cloud, cloud.deploy("vm"), "STOP", "0 20 * * *", timezone="Mars/Olympus")["vmschedule"]
    assert made["timezone"] == "GMT"
    assert [until(cloud, clock) for clock in ("19:50", "20:00")] == ["Running", "Stopped"]


def test_what_makes_no_sense_at_its_time_is_left_out(cloud: Cloud) -> None:
    key = cloud.deploy("vm", startvm="false")
    plan(cloud, key, "FORCE_STOP", "0 20 * * *")
    plan(cloud, key, "REBOOT", "0 21 * * *")
    assert [until(cloud, clock) for clock in ("20:00", "21:00")] == ["Stopped", "Stopped"]


def test_a_schedule_that_is_disabled_or_deleted_does_nothing(cloud: Cloud) -> None:
    key = cloud.deploy("vm")
    plan(cloud, key, "STOP", "0 20 * * *", enabled="false")
    gone = plan(cloud, key, "STOP", "2 20 * * *")["vmschedule"]["id"]
    cloud.do("deleteVMSchedule", virtualmachineid=key, id=gone)
    assert until(cloud, "20:30") == "Running"


def test_a_schedule_strikes_once_more_after_its_end_and_disables_itself(cloud: Cloud) -> None:
    key = cloud.deploy("vm")
    plan(cloud, key, "STOP", "0 20 * * *", enddate="2026-11-21 19:00:00")
    assert until(cloud, "20:00") == "Stopped"
    cloud.run("startVirtualMachine", id=key)
    assert until(cloud, "20:00") == "Running"
    assert cloud.do("listVMSchedule", virtualmachineid=key)["vmschedule"][0]["enabled"] is False


def test_a_changed_schedule_counts(cloud: Cloud) -> None:
    key = cloud.deploy("vm")
    made = plan(cloud, key, "STOP", "0 20 * * *")["vmschedule"]["id"]
    cloud.do("listZones")
    cloud.do("updateVMSchedule", id=made, schedule="0 22 * * *")
    assert [until(cloud, clock) for clock in ("20:00", "22:00")] == ["Running", "Stopped"]
