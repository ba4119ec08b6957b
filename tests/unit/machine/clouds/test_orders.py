"""Options of clouds."""

from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.machine.clouds.orders import CLOUDS, read_options
from moby.machine.formats import check_format


def test_options_are_checked() -> None:
    assert read_options("gcp", "push", ["bucket=b", "family=a=b"]) == {"bucket": "b", "family": "a=b"}
    with pytest.raises(InvalidParameter, match="gcp needs bucket"):
        read_options("gcp", "push", [])
    with pytest.raises(InvalidParameter, match=r"no option 'buket' \(did you mean 'bucket'\?\)"):
        read_options("gcp", "push", ["buket=b"])
    with pytest.raises(InvalidParameter, match="'bucket' is no option"):
        read_options("gcp", "push", ["bucket"])


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_cloud_takes_a_form_that_is_built(cloud: str) -> None:
    check_format(CLOUDS[cloud].disk)
