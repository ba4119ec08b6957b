"""Events on disk: what a new process finds of what another wrote."""

from __future__ import annotations

import time
from itertools import count
from pathlib import Path

import pytest

from moby.core.events import Actor, Event
from moby.engine.event_journal import EventJournal
from moby.engine.events import KEPT, Events

_moments = count(1)


def event(name: str = "x") -> Event:
    moment = next(_moments)
    return Event("container", "start", Actor(name, {"name": name}), moment // 1_000_000_000, moment)


def everything(journal: EventJournal) -> list[str]:
    return [event.actor.id for event in journal.read(None, None, journal.end)]


def test_events_outlive_the_process(tmp_path: Path) -> None:
    written = [event(), event()]
    with EventJournal(tmp_path / "events") as journal:
        for one in written:
            journal.append(one)
    with EventJournal(tmp_path / "events") as journal:
        journal.append(last := event())
        assert list(journal.read(None, None, journal.end)) == [*written, last]


def test_since_and_until(tmp_path: Path) -> None:
    with EventJournal(tmp_path) as journal:
        events = [event() for _ in range(5)]
        for one in events:
            journal.append(one)
        found = journal.read(events[1].time_nano, events[3].time_nano, journal.end)
        assert list(found) == events[1:4]


def test_what_comes_after_the_end_that_was_named_is_left_out(tmp_path: Path) -> None:
    with EventJournal(tmp_path, size=300) as journal:
        journal.append(first := event())
        found = journal.read(None, None, journal.end)
        for _ in range(10):
            journal.append(event())
        assert list(found) == [first]


def test_the_oldest_file_is_dropped(tmp_path: Path) -> None:
    with EventJournal(tmp_path, size=1000, files=3) as journal:
        for number in range(100):
            journal.append(event(str(number)))
        assert len(list(tmp_path.iterdir())) == 3
        kept = everything(journal)
        assert kept == [str(number) for number in range(100 - len(kept), 100)]
        assert 10 < len(kept) < 40
    with EventJournal(tmp_path, size=1000, files=3) as journal:
        assert everything(journal) == kept


def test_files_before_since_are_not_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with EventJournal(tmp_path, size=600) as journal:
        events = [event(str(number)) for number in range(20)]
        for one in events:
            journal.append(one)
        first = min(tmp_path.iterdir())
        first.write_bytes(b"{garbage}\n")
        found = journal.read(events[-3].time_nano, None, journal.end)
        assert list(found) == events[-3:]
        assert not caplog.records


@pytest.mark.parametrize("rest", [b"{", b'{"Type":"container"', b"\0" * 5000])
def test_a_cut_line_is_taken_off(tmp_path: Path, rest: bytes) -> None:
    with EventJournal(tmp_path) as journal:
        journal.append(event("before"))
    (path,) = tmp_path.iterdir()
    with path.open("ab") as file:
        file.write(rest)
    with EventJournal(tmp_path) as journal:
        journal.append(event("after"))
        assert everything(journal) == ["before", "after"]


def test_a_garbled_line_costs_itself_alone(tmp_path: Path) -> None:
    with EventJournal(tmp_path) as journal:
        journal.append(event("before"))
        (path,) = tmp_path.iterdir()
        with path.open("ab") as file:
            file.write(b"garbage\n\xff\xfe\n")
    with EventJournal(tmp_path) as journal:
        journal.append(event("after"))
        assert everything(journal) == ["before", "after"]


def test_a_full_disk_costs_events_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "00000001.jsonl").symlink_to("/dev/full")
    with EventJournal(tmp_path) as journal:
        journal.append(event())
        journal.append(event())
        assert journal.end.offset == 0
    assert [record.message for record in caplog.records] == ["events are not written to disk"]


async def test_past_events_reach_back_over_a_restart(tmp_path: Path) -> None:
    with EventJournal(tmp_path) as journal:
        bus = Events(journal)
        for number in range(KEPT * 3):
            bus.publish("container", "exec", str(number), {})
    with EventJournal(tmp_path) as journal:
        bus = Events(journal)
        listener = bus.listen(since_ns=0)
        bus.publish("container", "exec", "new", {})
        seen = [(await anext(listener)).actor.id for _ in range(KEPT * 3 + 1)]
        assert seen == [*(str(number) for number in range(KEPT * 3)), "new"]
        past = [event.actor.id async for event in bus.listen(since_ns=0, until_ns=time.time_ns())]
        assert past == seen


async def test_recent_past_comes_from_memory(tmp_path: Path) -> None:
    with EventJournal(tmp_path) as journal:
        bus = Events(journal)
        bus.publish("container", "exec", "old", {})
        since = time.time_ns()
        bus.publish("container", "exec", "new", {})
        (path,) = tmp_path.iterdir()
        path.unlink()
        past = [event.actor.id async for event in bus.listen(since_ns=since, until_ns=time.time_ns())]
        assert past == ["new"]
