"""The fluentd driver against little servers: messages, acknowledgements, reconnection, what is refused."""

from __future__ import annotations

import ssl
import struct
import time
from pathlib import Path

import msgspec
import pytest

from moby.core.errors import InvalidParameter, MobyError
from moby.core.logs import LogDriver, LogInfo, LogWriter
from moby.logs.drivers.fluentd import Fluentd
from tests.log_servers import Server, certificate, tcp, unix, unused_port

NOW = 1_700_000_000_123_456_789


def about(address: str = "", **options: str) -> LogInfo:
    """A container whose log goes there."""
    found = {key.replace("_", "-"): value for key, value in options.items()}
    if address:
        found["fluentd-address"] = address
    return LogInfo("c" * 64, "web", "/", labels={"tier": "front"}, options=found)


def opened(info: LogInfo) -> LogWriter:
    """A writer."""
    driver: LogDriver = Fluentd()
    driver.check(info.options)
    writer = driver.writer(info)
    assert writer is not None
    return writer


def messages(data: bytes) -> list[list[object]]:
    """What came, one message after the other; each begins with an array of four."""
    found: list[list[object]] = []
    start = 0
    for end in [*(at for at in range(1, len(data)) if data[at : at + 2] == b"\x94\xac"), len(data)]:
        found.append(msgspec.msgpack.decode(data[start:end]))
        start = end
    return found


def ends(count: int) -> bytes:
    """What a number of messages without acknowledgement end with."""
    return b"\x80" * count


def test_messages(tmp_path: Path) -> None:
    with Server(unix(tmp_path / "f")) as server:
        log = opened(about(f"unix://{tmp_path}/f", labels="tier"))
        log.write("stdout", b"hello\n", NOW)
        log.write("stderr", b"\xfftrouble", NOW)
        log.close()
        server.wait_for(b"partial_last")
        server.wait(lambda found: found.data.endswith(b"\x80"))
    first, second = messages(server.data)
    assert first == [
        "c" * 12,
        1_700_000_000,
        {
            "container_id": "c" * 64, "container_name": "/web", "source": "stdout", "log": "hello",
            "tier": "front",
        },
        {},
    ]  # fmt: skip
    record = second[2]
    assert isinstance(record, dict)
    assert (record["log"], record["source"]) == ("\ufffdtrouble", "stderr")
    assert (record["partial_message"], record["partial_ordinal"], record["partial_last"]) == (
        "true",
        "1",
        "false",
    )


def test_times_with_nanoseconds(tmp_path: Path) -> None:
    with Server(unix(tmp_path / "f")) as server:
        log = opened(about(f"unix://{tmp_path}/f", fluentd_sub_second_precision="true"))
        log.write("stdout", b"hello\n", NOW)
        log.close()
        server.wait(lambda found: found.data.endswith(b"\x80"))
    [[_, moment, *_]] = messages(server.data)
    assert moment == msgspec.msgpack.Ext(0, struct.pack(">II", 1_700_000_000, 123_456_789))


def test_what_is_not_acknowledged_is_sent_again() -> None:
    """The first connection is closed instead, the second one acknowledges."""

    def answer(data: bytes) -> bytes:
        """To the last message."""
        *_, option = messages(data)[-1]
        assert isinstance(option, dict)
        if len(server.packets) == 1:
            server.drop()
            return b""
        return msgspec.msgpack.encode({"ack": option["chunk"]})

    with Server(tcp(), answer=answer) as server:
        log = opened(about(f"127.0.0.1:{server.port}", fluentd_request_ack="true", tag="t"))
        log.write("stdout", b"hello\n", NOW)
        server.wait(lambda found: len(found.packets) == 2 and bool(found.packets[1]))
        log.close()
    first, second = (msgspec.msgpack.decode(packet) for packet in server.packets)
    assert first == second


def test_a_connection_that_broke_is_made_again() -> None:
    with Server(tcp()) as server:
        log = opened(about(f"tcp://127.0.0.1:{server.port}", fluentd_retry_wait="10ms"))
        log.write("stdout", b"before\n", NOW)
        server.wait_for(b"before")
        server.drop()
        for number in range(20):
            log.write("stdout", b"after %d\n" % number, NOW)
        log.close()
        server.wait(lambda found: b"after 19" in found.data and found.data.endswith(b"\x80"))
    assert len(server.packets) == 2


def test_asynchronously_a_server_may_come_later(tmp_path: Path) -> None:
    log = opened(about(f"unix://{tmp_path}/f", fluentd_async="true", fluentd_retry_wait="1ms"))
    for number in range(10):
        log.write("stdout", b"line %d\n" % number, NOW)
    with Server(unix(tmp_path / "f")) as server:
        server.wait_for(b"line 9")
        log.close()
    assert len(messages(server.data)) == 10


def test_asynchronously_what_is_too_much_is_dropped_and_the_end_does_not_wait(tmp_path: Path) -> None:
    options = {"fluentd_async": "true", "fluentd_buffer_limit": "100", "fluentd_retry_wait": "1h"}
    log = opened(about(f"unix://{tmp_path}/f", **options))
    for number in range(1000):
        log.write("stdout", b"line %d\n" % number, NOW)
    log.close()


def test_giving_up_takes_no_longer_than_the_container() -> None:
    with Server(tcp()) as server:
        log = opened(about(f"tcp://127.0.0.1:{server.port}", fluentd_retry_wait="1h"))
    log.write("stdout", b"lost\n", NOW)
    log.close()


def test_with_a_limit_of_retries_the_rest_goes_on() -> None:
    with Server(tcp()) as server:
        options = {"fluentd_retry_wait": "1ms", "fluentd_max_retries": "2"}
        log = opened(about(f"tcp://127.0.0.1:{server.port}", **options))
    for number in range(3):
        log.write("stdout", b"lost %d\n" % number, NOW)
    log.close()


def test_an_asynchronous_connection_is_made_anew_from_time_to_time(tmp_path: Path) -> None:
    with Server(unix(tmp_path / "f")) as server:
        options = {"fluentd_async": "true", "fluentd_async_reconnect_interval": "100ms"}
        log = opened(about(f"unix://{tmp_path}/f", **options))
        log.write("stdout", b"first\n", NOW)
        server.wait_for(b"first")
        time.sleep(0.2)
        log.write("stdout", b"second\n", NOW)
        log.close()
        server.wait_for(b"second")
    assert len(server.packets) == 2


def test_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(tcp(), tls=certificate(tmp_path)) as server:
        address = f"tls://127.0.0.1:{server.port}"
        with pytest.raises(MobyError, match="tls: failed to verify certificate"):
            opened(about(address))
        monkeypatch.setenv(ssl.get_default_verify_paths().openssl_cafile_env, f"{tmp_path}/ca.pem")
        log = opened(about(address))
        log.write("stdout", b"secret\n", NOW)
        log.close()
        server.wait_for(b"secret")


def test_a_server_that_is_not_there_is_said_in_dockerd_s_words() -> None:
    port = unused_port()
    with pytest.raises(MobyError) as refused:
        opened(about(f"127.0.0.1:{port}"))
    assert refused.value.message == f"dial tcp 127.0.0.1:{port}: connect: connection refused"


@pytest.mark.parametrize(("options", "words"), [
    ({"address": "http://x"}, "invalid fluentd-address (http://x): unsupported scheme: 'http'"),
    ({"address": "unix://"}, "invalid fluentd-address (unix://): path is empty"),
    ({"address": "tcp://x:1/y"}, "invalid fluentd-address (tcp://x:1/y): should not contain a path element"),
    ({"address": "x:99999"}, 'invalid fluentd-address (x:99999): invalid port: strconv.ParseUint: parsing "99999": value out of range'),
    ({"async": "maybe"}, 'strconv.ParseBool: parsing "maybe": invalid syntax'),
    ({"buffer-limit": "x"}, "invalid size: 'x'"),
    ({"max-retries": "x"}, 'strconv.ParseUint: parsing "x": invalid syntax'),
    ({"max-retries": "4294967295"}, "invalid fluentd-max-retries: value out of range"),
    ({"retry-wait": "1"}, 'time: invalid duration "1"'),
    (
        {"async-reconnect-interval": "20s"},
        'invalid value for fluentd-async-reconnect-interval: value ("20s") must be between 100ms and 10s',
    ),
    (
        {"write-timeout": "-1s"},
        "invalid value for fluentd-write-timeout: value must be a duration that is non-negative",
    ),
    ({"nonsense": "1"}, "unknown log opt 'fluentd-nonsense' for fluentd log driver"),
])  # fmt: skip
def test_wrong_options_are_refused(options: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        Fluentd().check({f"fluentd-{name}": value for name, value in options.items()})
    assert refused.value.message == words


@pytest.mark.parametrize(
    "address", ["", "host", "host:1", "[::1]:24224", "tcp://host", "tls://host:1", ":24224"]
)
def test_addresses(address: str) -> None:
    Fluentd().check(about(address).options)
