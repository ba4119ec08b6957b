from __future__ import annotations

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from moby.host.containerd.protos import events_pb2, tasks_pb2
from moby.monitor.shim.protobuf import Fields, message, timestamp


def test_what_we_write_is_what_others_read() -> None:
    data = message((1, "box"), (2, ""), (3, 70000), (4, 137), (5, timestamp(1_764_300_000_000_000_007)))
    found = events_pb2.TaskExit.FromString(data)
    assert (found.container_id, found.id, found.pid, found.exit_status) == ("box", "", 70000, 137)
    assert found.exited_at == Timestamp(seconds=1_764_300_000, nanos=7)


def test_what_others_write_is_what_we_read() -> None:
    request = tasks_pb2.CreateTaskRequest(container_id="box", terminal=True, stdin="/in")
    request.rootfs.add(type="overlay", source="overlay", options=["a=b", "c"])
    request.rootfs.add(type="bind")
    found = Fields(request.SerializeToString())
    names = {field.name: field.number for field in tasks_pb2.CreateTaskRequest.DESCRIPTOR.fields}
    assert found.text(names["container_id"]) == "box"
    assert found.number(names["terminal"]) == 1
    assert found.text(names["stdout"]) == ""
    first, second = map(Fields, found.every(names["rootfs"]))
    assert [first.text(1), first.text(2), *first.every(4)] == ["overlay", "overlay", b"a=b", b"c"]
    assert second.text(1) == "bind"


def test_fields_of_a_fixed_size_are_passed_over() -> None:
    assert Fields(b"\x09" + bytes(8) + b"\x15" + bytes(4) + b"\x18\x05").number(3) == 5


@pytest.mark.parametrize("data", [b"\x08", b"\x08" + b"\xff" * 11, b"\x0a\x05abc", b"\x0b"])
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Fields(data)
