"""The descriptor of a VMDK, whose number qemu-img draws by lot."""

from __future__ import annotations

import pytest

from moby.core.errors import System
from moby.machine.outputs.vmdk import fixed_descriptor


@pytest.mark.parametrize("number", [b"1", b"abcdef0", b"abcdef01"])
def test_a_number_of_any_length_becomes_the_same_one(number: bytes) -> None:
    region = (b"# Disk DescriptorFile\nversion=1\nCID=" + number + b"\nparentCID=ffffffff\n").ljust(
        512, b"\0"
    )
    fixed = fixed_descriptor(region)
    assert len(fixed) == 512
    assert fixed.startswith(b"# Disk DescriptorFile\nversion=1\nCID=6d6f6279\nparentCID=ffffffff\n\0")


def test_what_is_no_descriptor_is_refused() -> None:
    with pytest.raises(System):
        fixed_descriptor(bytes(512))
