"""The footer of a VHD, whose date and identity qemu-img makes up."""

from __future__ import annotations

import struct

import pytest

from moby.core.errors import System
from moby.machine.outputs.vhd import fixed_footer


def test_a_footer_without_what_was_made_up_and_with_a_right_sum() -> None:
    one, two = (
        b"conectix".ljust(24, b"\1") + bytes([each]) * 44 + bytes([each]) * 16 + bytes(428) for each in (3, 9)
    )
    assert len(one) == 512
    fixed = [bytearray(fixed_footer(each)) for each in (one, two)]
    assert fixed[0][:24] == fixed[1][:24]
    assert fixed[0][68:84] == fixed[1][68:84]
    found = struct.unpack_from(">I", fixed[0], 64)[0]
    struct.pack_into(">I", fixed[0], 64, 0)
    assert found == ~sum(fixed[0]) & 0xFFFFFFFF


def test_what_is_no_footer_is_refused() -> None:
    with pytest.raises(System):
        fixed_footer(bytes(512))
