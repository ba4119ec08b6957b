from __future__ import annotations

from moby.host.containerd.protos import runc_pb2
from moby.host.containerd.tasks import Shim


def test_the_shim_for_runc_is_told_which_program_and_where_its_state_is() -> None:
    options = Shim(binary="/usr/bin/crun", root="/run/x/runtime-runc").options()
    assert options is not None
    assert options.type_url == "containerd.runc.v1.Options"
    assert runc_pb2.Options.FromString(options.value) == runc_pb2.Options(
        binary_name="/usr/bin/crun", root="/run/x/runtime-runc"
    )


def test_other_shims_have_options_of_their_own() -> None:
    assert Shim("io.containerd.kata.v2").options() is None
