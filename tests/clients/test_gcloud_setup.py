"""The two ways of docs/clients/gcloud.md to point gcloud at a gateway, word by word, in a home of their own."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gstack.demo import Demo

PAGE = (Path(__file__).parents[2] / "docs" / "clients" / "gcloud.md").read_text()
BLOCKS = [re.sub("^    ", "", block, flags=re.M) for block in re.findall(r"(?:^    .+\n)+", PAGE, re.M)]
USE = "gcloud compute machine-types describe micro --format='value(guestCpus,memoryMb)'\n"


def _filled_in(block: str, demo: Demo) -> str:
    """The block with what is this gateway's in place of the examples."""
    environment = demo.environment
    examples = {
        "/home/me/.gstack/ca.pem": environment["GSTACK_CA_FILE"],
        "https://localhost:5000": environment["GSTACK_URL"],
        "key.json": environment["GOOGLE_APPLICATION_CREDENTIALS"],
        "=PROJECT": f"={environment['GSTACK_PROJECT']}",
        "zone ZONE": f"zone {environment['GSTACK_ZONE']}",
        "=ZONE": f"={environment['GSTACK_ZONE']}",
        "API_KEY:SECRET_KEY": f"{demo.cloud.api_key}:{demo.cloud.secret_key}",
    }
    for example, value in examples.items():
        block = block.replace(example, value)
    return block


@pytest.mark.usefixtures("installed_gcloud")
@pytest.mark.parametrize(("block", "first"), [(0, "gcloud config"), (1, "export CLOUDSDK")], ids=["kept", "shell"])
def test_gcloud_is_set_up_as_the_page_says(block: int, first: str, demo: Demo, alone: Callable[..., Any]) -> None:
    assert BLOCKS[block].startswith(first)
    assert "PROJECT" in BLOCKS[block]
    ran = alone("sh", "-e", "-c", _filled_in(BLOCKS[block], demo) + USE)
    assert ran.status == 0, ran.err
    assert ran.out.splitlines()[-1].split() == ["1", "512"]
