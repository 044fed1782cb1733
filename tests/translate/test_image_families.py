"""Templates sorted into image projects and families."""

from __future__ import annotations

import pytest

from gstack.settings import Settings
from gstack.translate.images import PUBLIC_PROJECTS, classify, public_projects, sort_templates

ZONES = ("zone-1", "zone-2")


def template(id, name, *, ostypename="", created="2026-11-21T08:29:32+0000", zones=ZONES, **members):
    row = {
        "id": id,
        "name": name,
        "ostypename": ostypename,
        "created": created,
        "isready": True,
        "account": "admin",
    }
    return [row | {"zoneid": zone} | members for zone in zones]


# Names and OS types as recorded from CloudStack 4.22.
FEATURED = [
    *template("t-centos", "CentOS 5.6 (64-bit) no GUI (Simulator)", ostypename="CentOS 5.6 (64-bit)"),
    *template("t-ubuntu", "Linux Ubuntu 24.04 LTS 64-bit", ostypename="Ubuntu 24.04 LTS"),
    *template("t-debian", "Linux Debian 12 64-bit", ostypename="Debian GNU/Linux 12 (32-bit)"),
    *template("t-rocky", "Linux Rocky 9 64-bit", ostypename="Rocky Linux 9"),
]


@pytest.mark.parametrize(
    ("project", "family", "template_id"),
    [
        ("debian-cloud", "debian-12", "t-debian"),
        ("ubuntu-os-cloud", "ubuntu-2404-lts-amd64", "t-ubuntu"),
        ("ubuntu-os-cloud", "ubuntu-2404-lts", "t-ubuntu"),
        ("rocky-linux-cloud", "rocky-linux-9", "t-rocky"),
        ("rocky-linux-cloud", "rocky-linux-9-optimized-gcp", "t-rocky"),
        ("centos-cloud", "centos-5", "t-centos"),
    ],
)
def test_the_recorded_templates_resolve_googles_families(project, family, template_id):
    assert sort_templates(featured=FEATURED, project="me").newest(project, family).id == template_id


@pytest.mark.parametrize(
    ("text", "project", "family"),
    [
        ("Debian GNU/Linux 12 (64-bit)", "debian-cloud", "debian-12"),
        ("debian-bookworm-x86_64", "debian-cloud", "debian-12"),
        ("Debian12", "debian-cloud", "debian-12"),
        ("Ubuntu 22.04 LTS", "ubuntu-os-cloud", "ubuntu-2204-lts"),
        ("ubuntu-2404", "ubuntu-os-cloud", "ubuntu-2404-lts-amd64"),
        ("Ubuntu 23.10", "ubuntu-os-cloud", "ubuntu-2310-amd64"),
        ("Ubuntu Server Jammy", "ubuntu-os-cloud", "ubuntu-2204-lts"),
        ("Ubuntu minimal 24.04", "ubuntu-os-cloud", "ubuntu-minimal-2404-lts-amd64"),
        ("CentOS Stream 9", "centos-cloud", "centos-stream-9"),
        ("CentOS-9-Stream", "centos-cloud", "centos-stream-9"),
        ("CentOS 7.9", "centos-cloud", "centos-7"),
        ("Rocky Linux 9.4", "rocky-linux-cloud", "rocky-linux-9"),
        ("AlmaLinux 8.3", "almalinux-cloud", "almalinux-8"),
        ("RHEL9.4", "rhel-cloud", "rhel-9"),
        ("Red Hat Enterprise Linux 8", "rhel-cloud", "rhel-8"),
        ("Oracle Linux 9", "oracle-linux-cloud", "oracle-linux-9"),
        ("Fedora CoreOS 40", "fedora-coreos-cloud", "fedora-coreos-stable"),
        ("fedora-coreos-testing", "fedora-coreos-cloud", "fedora-coreos-testing"),
        ("Fedora Linux 40", "fedora-cloud", "fedora-cloud-40"),
        ("openSUSE Leap 15.6", "opensuse-cloud", "opensuse-leap"),
        ("SUSE Linux Enterprise Server 15 SP5", "suse-cloud", "sles-15"),
        ("Windows Server 2022 (64-bit)", "windows-cloud", "windows-2022"),
        ("Windows Server 2022 Core", "windows-cloud", "windows-2022-core"),
        ("Windows Server 2012 R2", "windows-cloud", "windows-2012-r2"),
        ("SQL Server Standard 2019 on Windows Server 2022", "windows-sql-cloud", "sql-2019-win-2022"),
        ("Container-Optimized OS 117", "cos-cloud", "cos-stable"),
        ("Flatcar stable", "kinvolk-public", "flatcar-stable"),
        ("CoreOS stable", "coreos-cloud", "coreos-stable"),
        ("FreeBSD 14.1", "freebsd-org-cloud-dev", "freebsd-14-1"),
    ],
)
def test_a_name_or_os_type_has_its_project_and_family(text, project, family):
    found_project, families = classify(text)
    assert (found_project, families[0]) == (project, family)
    assert project in PUBLIC_PROJECTS


@pytest.mark.parametrize("text", ["Other (64-bit)", "golden image 12", "", "kubuntu-like", "marcos 64"])
def test_what_fits_no_rule_has_no_project(text):
    assert classify(text) is None


def test_an_alias_appears_only_with_what_it_needs():
    assert classify("SLES 15") == ("suse-cloud", ("sles-15",))
    assert classify("SLES 15 SP5") == ("suse-cloud", ("sles-15", "sles-15-sp5"))


def test_arm_templates_have_families_of_their_own():
    arm = template("arm", "Debian 12", arch="aarch64") + template("arm-u", "Ubuntu 24.04", arch="aarch64")
    images = sort_templates(featured=FEATURED + arm, project="me")
    assert images.newest("debian-cloud", "debian-12-arm64").id == "arm"
    assert images.newest("debian-cloud", "debian-12").id == "t-debian"
    assert images.newest("ubuntu-os-cloud", "ubuntu-2404-lts-arm64").id == "arm-u"


def test_the_newest_ready_template_wins_a_family():
    newer = template("newer", "Debian 12", created="2027-01-01T00:00:00+0000")
    unready = template("unready", "Debian 12", created="2028-01-01T00:00:00+0000", isready=False)
    images = sort_templates(featured=FEATURED + newer + unready, project="me")
    assert images.newest("debian-cloud", "debian-12").id == "newer"


def test_a_family_resolves_to_what_is_in_the_zone():
    newer = template("newer", "Debian 12", created="2027-01-01T00:00:00+0000", zones=("zone-2",))
    images = sort_templates(featured=FEATURED + newer, project="me")
    assert images.newest("debian-cloud", "debian-12", "zone-1").id == "t-debian"
    assert images.newest("debian-cloud", "debian-12", "zone-2").id == "newer"


def test_a_name_counts_for_more_than_an_os_type():
    golden = template("golden", "golden", ostypename="Debian 12", created="2027-01-01T00:00:00+0000")
    images = sort_templates(featured=FEATURED + golden, project="me")
    assert images.newest("debian-cloud", "debian-12").id == "t-debian"
    assert images.get("debian-cloud", "golden").id == "golden"


def test_two_templates_of_one_name_are_both_found():
    twin = template("0123456789", "Linux Debian 12 64-bit", created="2027-01-01T00:00:00+0000")
    images = sort_templates(featured=FEATURED + twin, project="me")
    assert images.get("debian-cloud", "linux-debian-12-64-bit").id == "t-debian"
    assert images.get("debian-cloud", "linux-debian-12-64-bit-01234567").id == "0123456789"


def test_a_template_is_one_image_with_all_its_zones():
    images = sort_templates(featured=FEATURED, project="me")
    (image,) = images.listed("debian-cloud")
    assert image.zoneids == set(ZONES)
    assert images.of_template("t-debian") is image


def test_a_featured_template_that_fits_no_row_is_in_the_tenants_own_project():
    images = sort_templates(featured=template("odd", "Appliance"), project="me")
    assert [image.name for image in images.listed("me")] == ["appliance"]


def test_own_and_shared_templates_are_in_the_own_project_under_no_public_family():
    images = sort_templates(own=template("mine", "Debian 12"), shared=template("theirs", "Ubuntu 24.04"), project="me")
    assert [image.id for image in images.listed("me")] == ["mine", "theirs"]
    assert images.newest("me", "debian-12") is None
    assert images.projects == {"me"}


def test_an_own_image_has_the_family_that_its_mark_says_unless_deprecated():
    def tags(**values):
        return [{"key": f"gstack:{name}", "value": value} for name, value in values.items()]

    old = template("old", "a", tags=tags(family="mine"))
    new = template("new", "b", created="2027-01-01T00:00:00+0000", tags=tags(family="mine"))
    gone = template("gone", "c", created="2028-01-01T00:00:00+0000", tags=tags(family="mine", deprecated="OBSOLETE"))
    images = sort_templates(own=old + new + gone, project="me")
    assert images.newest("me", "mine").id == "new"


def test_a_shared_template_cannot_plant_a_family_with_a_mark():
    planted = template("planted", "x", tags=[{"key": "gstack:family", "value": "debian-12"}])
    assert sort_templates(shared=planted, project="me").newest("me", "debian-12") is None


def test_a_community_template_is_in_its_owners_project_and_resolves_no_family():
    planted = template("planted", "Debian 12", account="mallory", domainid="d1")
    images = sort_templates(featured=FEATURED, community=planted, project="me")
    assert [image.id for image in images.listed("mallory")] == ["planted"]
    assert images.newest("mallory", "debian-12") is None
    assert images.newest("debian-cloud", "debian-12").id == "t-debian"


@pytest.mark.parametrize("account", ["debian-cloud", "me", "Debian Cloud", "settings-cloud"])
def test_an_owner_named_like_a_trusted_project_gets_none_of_it(account):
    planted = template("planted", "anything", account=account, domainid="d1")
    images = sort_templates(community=planted, project="me", overrides={"x": "settings-cloud/y"})
    (project,) = images.projects
    assert project.startswith("community-")


def test_two_owners_of_one_name_do_not_share_a_project():
    one = template("one", "a", account="bob", domainid="aaaaaaaa")
    two = template("two", "a", account="bob", domainid="bbbbbbbb")
    assert sort_templates(community=one + two, project="me").projects == {
        "community-bob-aaaaaaaa",
        "community-bob-bbbbbbbb",
    }


def test_settings_place_any_template_by_id_and_a_featured_one_by_name():
    overrides = {"by-id": "my-images/app", "Linux Debian 12 64-bit": "debian-cloud/debian-13"}
    community = template("by-id", "whatever", account="bob") + template("no", "Linux Debian 12 64-bit", account="eve")
    images = sort_templates(featured=FEATURED, community=community, project="me", overrides=overrides)
    assert images.newest("my-images", "app").id == "by-id"
    assert images.newest("debian-cloud", "debian-13").id == "t-debian"
    assert [image.id for image in images.listed("eve")] == ["no"]


def test_cloudstacks_own_machines_templates_are_left_out():
    system = template("system", "SystemVM Debian 12", templatetype="SYSTEM")
    assert sort_templates(featured=system, project="me").projects == set()


def test_kubernetes_node_templates_take_no_family():
    node = template("node", "Debian 12 node", created="2027-01-01T00:00:00+0000", forcks=True)
    assert sort_templates(featured=FEATURED + node, project="me").newest("debian-cloud", "debian-12").id == "t-debian"


def test_every_project_that_a_client_lists_is_known():
    # gcloud 528 compute images list; libcloud 3.9.1 and jclouds 2.7.0 image look-ups.
    asked = """
        centos-cloud cos-cloud debian-cloud fedora-coreos-cloud opensuse-cloud oracle-linux-cloud rhel-cloud
        rhel-sap-cloud rocky-linux-accelerator-cloud rocky-linux-cloud suse-cloud suse-sap-cloud
        ubuntu-os-accelerator-images ubuntu-os-cloud ubuntu-os-pro-cloud windows-cloud windows-sql-cloud
        coreos-cloud suse-byos-cloud gce-nvme
    """
    assert set(asked.split()) <= PUBLIC_PROJECTS


def test_settings_add_projects():
    settings = Settings({"IMAGE_PROJECTS": {"id": "my-images/app"}})
    assert public_projects(settings) == PUBLIC_PROJECTS | {"my-images"}
