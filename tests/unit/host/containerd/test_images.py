from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from moby.host.containerd.images import moment


def test_a_time_is_in_utc() -> None:
    assert moment(Timestamp(seconds=1_700_000_000, nanos=5000)) == datetime(
        2023, 11, 14, 22, 13, 20, 5, tzinfo=UTC
    )


def test_no_time_is_none_as_protobuf_and_as_go_say_it() -> None:
    assert moment(Timestamp()) is None
    assert moment(Timestamp(seconds=-62_135_596_800)) is None
