"""Kernel settings by name."""

from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter, NotFound
from moby.host import sysctl


def test_dotted_names_and_paths_are_read() -> None:
    assert sysctl.read("kernel.ostype") == "Linux"
    assert sysctl.read("kernel/ostype") == "Linux"


def test_what_is_not_there_is_none() -> None:
    assert sysctl.read("kernel.no_such_thing") is None


def test_what_is_not_there_cannot_be_set() -> None:
    with pytest.raises(NotFound):
        sysctl.write("kernel.no_such_thing", "1")
    sysctl.write_if_there("kernel.no_such_thing", "1")


@pytest.mark.parametrize("name", ["", "../etc/passwd", "net/../../etc"])
def test_names_do_not_lead_out(name: str) -> None:
    with pytest.raises(InvalidParameter):
        sysctl.write(name, "1")
