"""The syslog driver against little servers: formats, transports, reconnection, what is refused."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter, MobyError
from moby.core.logs import LogDriver, LogInfo, LogWriter
from moby.logs.drivers import syslog
from moby.logs.drivers.syslog import Syslog
from moby.testing.logs import LogDriverSuite
from tests.log_servers import Server, certificate, tcp, udp, unix, unused_port

NOW = 1_700_000_000_123_456_789
STAMP = rb"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"


class TestSyslog(LogDriverSuite):
    """To a socket in the container's directory."""

    @pytest.fixture
    def driver(self) -> LogDriver:
        """The driver."""
        return Syslog()

    @pytest.fixture
    def info(self, tmp_path: Path) -> LogInfo:
        """A container whose log nobody reads, at a socket that takes it."""
        self.socket = unix(tmp_path / "log", socket.SOCK_DGRAM)
        return about(f"unixgram://{tmp_path}/log")


def about(address: str = "", **options: str) -> LogInfo:
    """A container whose log goes there."""
    found = {key.replace("_", "-"): value for key, value in options.items()}
    if address:
        found["syslog-address"] = address
    return LogInfo("c" * 64, "web", "/", image_name="busybox", options=found)


def opened(info: LogInfo) -> LogWriter:
    """A writer."""
    Syslog().check(info.options)
    writer: LogWriter | None = Syslog().writer(info)
    assert writer is not None
    return writer


def test_lines_are_messages_in_the_usual_form(tmp_path: Path) -> None:
    with Server(unix(tmp_path / "log", socket.SOCK_DGRAM)) as server:
        log = opened(about(f"unixgram://{tmp_path}/log"))
        log.write("stdout", b"hello\n\nun", NOW)
        log.write("stderr", b"trouble\n", NOW)
        log.write("stdout", b"finished", NOW)
        log.close()
        server.wait(lambda found: len(found.packets) == 3)
    assert re.fullmatch(rb"<30>" + STAMP + rb" cccccccccccc\[\d+\]: hello\n", server.packets[0])
    assert re.fullmatch(rb"<27>" + STAMP + rb" cccccccccccc\[\d+\]: trouble\n", server.packets[1])
    assert server.packets[2].endswith(b": unfinished\n")


@pytest.mark.parametrize(("form", "expected"), [
    ("rfc3164", rb"<134>" + STAMP + rb" HOST web/busybox\[\d+\]: hello\n"),
    ("rfc5424", rb"<134>1 2023-11-1\dT\d\d:\d\d:20(Z|[+-]\d\d:\d\d) HOST web/busybox \d+ web/busybox - hello\n"),
    ("rfc5424micro", rb"<134>1 2023-11-1\dT\d\d:\d\d:20\.123456\S+ HOST web/busybox \d+ web/busybox - hello\n"),
])  # fmt: skip
def test_formats(form: str, expected: bytes) -> None:
    with Server(udp()) as server:
        options = {"syslog_format": form, "syslog_facility": "local0", "tag": "{{.Name}}/{{.ImageName}}"}
        log = opened(about(f"udp://127.0.0.1:{server.port}", **options))
        log.write("stdout", b"hello\n", NOW)
        log.close()
        server.wait(lambda found: bool(found.packets))
    expected = expected.replace(b"HOST", re.escape(os.uname().nodename).encode())
    assert re.fullmatch(expected, server.packets[0])


def test_a_connection_that_broke_is_made_again() -> None:
    with Server(tcp()) as server:
        log = opened(about(f"tcp://127.0.0.1:{server.port}"))
        log.write("stdout", b"before\n", NOW)
        server.wait_for(b"before")
        server.drop()
        for number in range(20):
            log.write("stdout", b"after %d\n" % number, NOW)
        log.close()
        server.wait_for(b"after 19")
    assert len(server.packets) == 2


def test_a_server_that_went_away_loses_lines_and_not_the_writer() -> None:
    with Server(tcp()) as server:
        log = opened(about(f"tcp://127.0.0.1:{server.port}"))
    log.write("stdout", b"lost\n", NOW)
    log.write("stdout", b"lost too\n", NOW)
    log.close()


def test_tls_with_a_certificate_that_is_known(tmp_path: Path) -> None:
    with Server(tcp(), tls=certificate(tmp_path)) as server:
        address = f"tcp+tls://127.0.0.1:{server.port}"
        log = opened(about(address, syslog_tls_ca_cert=f"{tmp_path}/ca.pem", syslog_format="rfc5424"))
        log.write("stdout", b"secret\n", NOW)
        log.close()
        server.wait_for(b"secret\n")
        length, _, message = server.data.partition(b" ")
        assert int(length) == len(message)
        with pytest.raises(MobyError, match="tls: failed to verify certificate: x509: self-signed"):
            opened(about(address))
        anyone = opened(about(address, syslog_tls_skip_verify="true"))
        anyone.write("stdout", b"whoever\n", NOW)
        anyone.close()
        server.wait_for(b"whoever\n")


def test_a_server_that_is_not_there_is_said_in_dockerd_s_words(tmp_path: Path) -> None:
    port = unused_port()
    with pytest.raises(MobyError) as refused:
        opened(about(f"tcp://127.0.0.1:{port}"))
    assert refused.value.message == f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    (tmp_path / "file").touch()
    with pytest.raises(MobyError) as refused:
        opened(about(f"unix://{tmp_path}/file"))
    assert refused.value.message == f"dial unix {tmp_path}/file: connect: connection refused"


def test_without_an_address_it_goes_to_this_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syslog, "LOCAL_SOCKETS", (str(tmp_path / "none"), str(tmp_path / "log")))
    with pytest.raises(MobyError, match="Unix syslog delivery error"):
        opened(about())
    with Server(unix(tmp_path / "log")) as server:
        log = opened(about(syslog_facility="3"))
        log.write("stderr", b"here\n", NOW)
        log.close()
        server.wait_for(b": here\n")
    assert server.data.startswith(b"<27>")


@pytest.mark.parametrize(("options", "words"), [
    ({"syslog_address": "http://x"}, "unsupported scheme: 'http'"),
    ({"syslog_address": "unix:///nowhere/log"}, "stat /nowhere/log: no such file or directory"),
    ({"syslog_address": "127.0.0.1:514"}, 'parse "127.0.0.1:514": first path segment in URL cannot contain colon'),
    ({"syslog_address": "udp://a:b"}, 'parse "udp://a:b": invalid port ":b" after host'),
    ({"syslog_facility": "local8"}, "invalid syslog facility"),
    ({"syslog_facility": "24"}, "invalid syslog facility"),
    ({"syslog_format": "rfc1"}, "Invalid syslog format"),
    ({"syslog_nonsense": "x"}, "unknown log opt 'syslog-nonsense' for syslog log driver"),
])  # fmt: skip
def test_wrong_options_are_refused(options: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        Syslog().check(about(**options).options)
    assert refused.value.message == words
