"""The journald driver against a socket that takes what journald would."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter, MobyError
from moby.core.logs import LogDriver, LogInfo
from moby.logs.drivers import journald
from moby.logs.drivers.journald import Journald, JournaldWriter, field_name
from moby.testing.logs import LogDriverSuite
from tests.log_servers import unix

NOW = 1_700_000_000_123_456_789


class TestJournald(LogDriverSuite):
    """To a socket in the container's directory."""

    @pytest.fixture
    def driver(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LogDriver:
        """The driver."""
        self.socket = unix(tmp_path / "journal", socket.SOCK_DGRAM)
        monkeypatch.setattr(journald, "SOCKET", str(tmp_path / "journal"))
        return Journald()


def about(**options: str) -> LogInfo:
    """A container."""
    return LogInfo(
        "0123456789abcdef" * 4,
        "web",
        "/",
        image_name="busybox",
        labels={"com.example/tier": "front\nend"},
        env=["_A=1"],
        options={key.replace("_", "-"): value for key, value in options.items()},
    )


def fields(entry: bytes) -> dict[str, bytes]:
    """An entry as journald reads it."""
    found: dict[str, bytes] = {}
    while entry:
        line, _, rest = entry.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            length = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + length], rest[8 + length + 1 :]
        found[name.decode()], entry = value, rest
    return found


def test_fields(tmp_path: Path) -> None:
    with unix(tmp_path / "journal", socket.SOCK_DGRAM) as journal:
        log = JournaldWriter(
            about(labels="com.example/tier", env_regex=".", tag="{{.Name}}"), str(tmp_path / "journal")
        )
        log.write("stdout", b"hello\n", NOW)
        log.write("stderr", b"a=b\n", NOW)
        log.close()
        first, second = fields(journal.recv(1 << 20)), fields(journal.recv(1 << 20))
    epoch = first.pop("CONTAINER_LOG_EPOCH")
    assert len(epoch) == 64
    assert first == {
        "MESSAGE": b"hello",
        "PRIORITY": b"6",
        "CONTAINER_ID": b"0123456789ab",
        "CONTAINER_ID_FULL": b"0123456789abcdef" * 4,
        "CONTAINER_NAME": b"web",
        "CONTAINER_TAG": b"web",
        "IMAGE_NAME": b"busybox",
        "SYSLOG_IDENTIFIER": b"web",
        "SYSLOG_TIMESTAMP": b"2023-11-14T22:13:20.123456789Z",
        "CONTAINER_LOG_ORDINAL": b"1",
        "COM_EXAMPLE_TIER": b"front\nend",
        "A": b"1",
    }
    assert (second["MESSAGE"], second["PRIORITY"], second["CONTAINER_LOG_ORDINAL"]) == (b"a=b", b"3", b"2")
    assert second["CONTAINER_LOG_EPOCH"] == epoch


def test_long_lines_are_marked_as_parts(tmp_path: Path) -> None:
    with unix(tmp_path / "journal", socket.SOCK_DGRAM) as journal:
        log = JournaldWriter(about(), str(tmp_path / "journal"))
        log.write("stdout", b"x" * 20_000 + b"\n", NOW)
        log.close()
        first, second = fields(journal.recv(1 << 20)), fields(journal.recv(1 << 20))
    assert first["CONTAINER_PARTIAL_MESSAGE"] == b"true"
    assert (first["CONTAINER_PARTIAL_ORDINAL"], first["CONTAINER_PARTIAL_LAST"]) == (b"1", b"false")
    assert "CONTAINER_PARTIAL_MESSAGE" not in second
    assert (second["CONTAINER_PARTIAL_ORDINAL"], second["CONTAINER_PARTIAL_LAST"]) == (b"2", b"true")
    assert first["CONTAINER_PARTIAL_ID"] == second["CONTAINER_PARTIAL_ID"]


def test_what_fits_into_no_datagram_goes_as_a_file(tmp_path: Path) -> None:
    large = about(labels_regex=".")
    large = LogInfo(large.container_id, "web", "/", labels={"big": "y" * 500_000}, options=large.options)
    with unix(tmp_path / "journal", socket.SOCK_DGRAM) as journal:
        log = JournaldWriter(large, str(tmp_path / "journal"))
        log.write("stdout", b"hello\n", NOW)
        log.close()
        data, descriptors, _, _ = socket.recv_fds(journal, 1 << 20, 4)
    assert data == b""
    with os.fdopen(descriptors[0], "rb") as file:
        file.seek(0)
        found = fields(file.read())
        with pytest.raises(OSError, match="not permitted"):
            os.write(descriptors[0], b"x")
    assert (found["MESSAGE"], len(found["BIG"])) == (b"hello", 500_000)


def test_a_journal_that_is_restarted_gets_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with unix(path, socket.SOCK_DGRAM):
        log = JournaldWriter(about(), str(path))
    path.unlink()
    with pytest.raises(OSError, match="No such file"):
        log.write("stdout", b"lost\n", NOW)
    with unix(path, socket.SOCK_DGRAM) as journal:
        log.write("stdout", b"there\n", NOW)
        log.close()
        assert fields(journal.recv(1 << 20))["MESSAGE"] == b"there"


def test_without_a_journal_it_does_not_begin(tmp_path: Path) -> None:
    with pytest.raises(MobyError, match="journald is not enabled on this host"):
        JournaldWriter(about(), str(tmp_path / "none"))
    with pytest.raises(InvalidParameter, match="unknown log opt 'max-size' for journald log driver"):
        Journald().check({"max-size": "1"})


@pytest.mark.parametrize(("name", "made"), [("com.a-b", "COM_A_B"), ("__x1", "X1"), ("ä", ""), ("Z9", "Z9")])
def test_names_of_fields(name: str, made: str) -> None:
    assert field_name(name) == made
