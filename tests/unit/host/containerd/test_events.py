from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from moby.core.runtime import Exited, Frozen, OutOfMemory
from moby.host.containerd.events import decoded
from moby.host.containerd.protos import events_pb2, types_pb2


def envelope(topic: str, message: Message) -> types_pb2.Envelope:
    """An event as it comes."""
    return types_pb2.Envelope(topic=topic, event=AnyMessage(value=message.SerializeToString()))


def test_the_end_of_a_first_process() -> None:
    message = events_pb2.TaskExit(
        container_id="a", id="a", pid=5, exit_status=137, exited_at=Timestamp(seconds=1_700_000_000)
    )
    at = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert decoded(envelope("/tasks/exit", message)) == Exited("a", 5, 137, at)


def test_the_end_of_another_process_names_it() -> None:
    message = events_pb2.TaskExit(container_id="a", id="exec-1", pid=6, exit_status=3)
    event = decoded(envelope("/tasks/exit", message))
    assert isinstance(event, Exited)
    assert (event.id, event.process, event.pid, event.exit_status) == ("a", "exec-1", 6, 3)


def test_a_kill_for_memory() -> None:
    assert decoded(envelope("/tasks/oom", events_pb2.TaskOOM(container_id="a"))) == OutOfMemory("a")


def test_pauses() -> None:
    assert decoded(envelope("/tasks/paused", events_pb2.TaskPaused(container_id="a"))) == Frozen("a", True)
    assert decoded(envelope("/tasks/resumed", events_pb2.TaskResumed(container_id="a"))) == Frozen("a", False)


def test_other_topics_are_not_told() -> None:
    assert decoded(envelope("/moby/subscribed", events_pb2.TaskOOM())) is None
