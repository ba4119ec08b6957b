"""The GELF driver against little servers: messages, compression, chunks, reconnection, what is refused."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter, MobyError
from moby.core.logs import LogDriver, LogInfo, LogWriter
from moby.logs.drivers.gelf import Gelf, chunks
from tests.log_servers import Server, tcp, udp, unused_port

NOW = 1_700_000_000_123_456_789


def about(address: str, **options: str) -> LogInfo:
    """A container whose log goes there."""
    found = {key.replace("_", "-"): value for key, value in options.items()}
    return LogInfo(
        "c" * 64,
        "web",
        "/",
        image_id="sha256:abc",
        image_name="busybox",
        command="sh -c true",
        created="2023-11-14T22:13:20Z",
        labels={"tier": "front"},
        env=["_A=1"],
        options={"gelf-address": address, **found},
    )


def opened(info: LogInfo) -> LogWriter:
    """A writer."""
    driver: LogDriver = Gelf()
    driver.check(info.options)
    writer = driver.writer(info)
    assert writer is not None
    return writer


def plain(packet: bytes) -> dict[str, object]:
    """A message, whatever it is compressed with."""
    if packet[:2] == b"\x1f\x8b":
        packet = gzip.decompress(packet)
    elif packet[:1] == b"\x78":
        packet = zlib.decompress(packet)
    found: dict[str, object] = json.loads(packet)
    return found


@pytest.mark.parametrize(("kind", "begin"), [("gzip", b"\x1f\x8b"), ("zlib", b"\x78"), ("none", b"{")])
def test_messages_by_udp(kind: str, begin: bytes) -> None:
    with Server(udp()) as server:
        address = f"udp://127.0.0.1:{server.port}"
        log = opened(about(address, gelf_compression_type=kind, labels="tier", env="_A", tag="{{.Name}}"))
        log.write("stdout", b"hello\n\n", NOW)
        log.write("stderr", b"\xfftrouble", NOW)
        log.close()
        server.wait(lambda found: len(found.packets) == 2)
    first, second = map(plain, server.packets)
    assert server.packets[0].startswith(begin)
    assert first.pop("host")
    assert first == {
        "version": "1.1", "short_message": "hello", "timestamp": 1_700_000_000.123, "level": 6,
        "_container_id": "c" * 64, "_container_name": "web", "_image_id": "sha256:abc",
        "_image_name": "busybox", "_command": "sh -c true", "_tag": "web", "_created": "2023-11-14T22:13:20Z",
        "_tier": "front", "_A": "1",
    }  # fmt: skip
    assert (second["short_message"], second["level"]) == ("\ufffdtrouble", 3)


def test_long_messages_go_in_chunks() -> None:
    with Server(udp()) as server:
        log = opened(about(f"udp://127.0.0.1:{server.port}", gelf_compression_type="none"))
        log.write("stdout", b"x" * 10_000 + b"\n", NOW)
        log.close()
        server.wait(lambda found: len(found.packets) == 8)
    assert all(packet[:2] == b"\x1e\x0f" and len(packet) <= 1420 for packet in server.packets)
    assert len({packet[2:10] for packet in server.packets}) == 1
    assert [packet[10:12] for packet in server.packets] == [bytes((number, 8)) for number in range(8)]
    assert plain(b"".join(packet[12:] for packet in server.packets))["short_message"] == "x" * 10_000


def test_more_chunks_than_there_may_be_are_refused() -> None:
    assert len(chunks(b"x" * 1408 * 128)) == 128
    with pytest.raises(MobyError, match="msg too large, would need 129 chunks"):
        chunks(b"x" * (1408 * 128 + 1))


def test_messages_by_tcp_end_with_a_zero_and_a_broken_connection_is_made_again() -> None:
    with Server(tcp()) as server:
        log = opened(about(f"tcp://127.0.0.1:{server.port}", gelf_tcp_reconnect_delay="0"))
        log.write("stdout", b"before\n", NOW)
        server.wait(lambda found: found.data.endswith(b"\0"))
        server.drop()
        log.write("stdout", b"after\nand more\n", NOW)
        log.close()
        server.wait(lambda found: found.data.count(b"\0") == 3)
    messages = [plain(packet)["short_message"] for packet in server.data.split(b"\0")[:-1]]
    assert messages == ["before", "after", "and more"]


def test_giving_up_takes_no_longer_than_the_container() -> None:
    """A server that is gone, and an hour to wait for it."""
    with Server(tcp()) as server:
        log = opened(about(f"tcp://127.0.0.1:{server.port}", gelf_tcp_reconnect_delay="3600"))
    log.write("stdout", b"lost\n", NOW)
    log.close()


def test_a_server_that_is_not_there_is_said_in_dockerd_s_words() -> None:
    address = f"127.0.0.1:{unused_port()}"
    with pytest.raises(MobyError) as refused:
        opened(about(f"tcp://{address}"))
    assert refused.value.message == (
        f"gelf: cannot connect to GELF endpoint: {address} dial tcp {address}: connect: connection refused"
    )


@pytest.mark.parametrize(("options", "words"), [
    ({"gelf-address": ""}, "gelf-address is a required parameter"),
    ({"gelf-address": "http://x:1"}, "gelf: endpoint needs to be TCP or UDP"),
    ({"gelf-address": "udp://x"}, "gelf: please provide gelf-address as proto://host:port"),
    ({"gelf-address": "tcp://x:1", "gelf-compression-type": "gzip"}, "compression is only supported on UDP"),
    (
        {"gelf-address": "udp://x:1", "gelf-compression-type": "zstd"},
        'unknown value "zstd" for log opt "gelf-compression-type" for gelf log driver',
    ),
    (
        {"gelf-address": "udp://x:1", "gelf-compression-level": "10"},
        'unknown value "10" for log opt "gelf-compression-level" for gelf log driver',
    ),
    ({"gelf-address": "udp://x:1", "gelf-tcp-max-reconnect": "1"}, '"gelf-tcp-max-reconnect" is only valid for TCP'),
    (
        {"gelf-address": "tcp://x:1", "gelf-tcp-reconnect-delay": "-1"},
        '"gelf-tcp-reconnect-delay" must be a positive integer',
    ),
    ({"gelf-address": "udp://x:1", "nonsense": "1"}, 'unknown log opt "nonsense" for gelf log driver'),
])  # fmt: skip
def test_wrong_options_are_refused(options: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        Gelf().check(options)
    assert refused.value.message == words


def test_it_is_not_read_back(tmp_path: Path) -> None:
    assert Gelf().reader(about("udp://127.0.0.1:1")) is None
