"""Calls to a plugin: its answers, its refusals, and everything that it may do instead of answering."""

from __future__ import annotations

import asyncio
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moby.core.errors import NotFound, System
from moby.plugins.client import PluginClient
from moby.plugins.discovery import Found, TlsOptions
from tests.sample_plugins import Handling, Sample, Server


class Said(msgspec.Struct, rename="pascal"):
    """An answer."""

    word: str = ""
    err: str = ""


def pieces(_: dict[str, Any]) -> Any:
    """An answer that comes bit by bit."""
    return iter([b"one", b"two"])


@pytest.fixture
async def sample(tmp_path: Path) -> AsyncIterator[tuple[Sample, PluginClient]]:
    """A plugin that says back what it is told, and a client of it."""
    methods = {"Echo.Say": lambda request: {"Word": request["Word"]}, "Echo.Stream": pieces}
    made = Sample(tmp_path / "state", ["Echo"], methods)
    with Server(tmp_path / "echo.sock", made):
        client = PluginClient(Found("echo", f"unix://{tmp_path}/echo.sock"), 0)
        yield made, client
        await client.close()


def feel(sample: Sample, mood: str) -> None:
    """Have the method go wrong."""
    (sample.state / "mood.json").write_bytes(msgspec.json.encode({"Echo.Say": mood}))


async def test_it_answers(sample: tuple[Sample, PluginClient]) -> None:
    _, client = sample
    await client.activate()
    assert client.implements == ("Echo",)
    assert (await client.call("Echo.Say", {"Word": "hi"}, Said)).word == "hi"


async def test_a_stream_comes_in_pieces(sample: tuple[Sample, PluginClient]) -> None:
    _, client = sample
    async with client.stream("Echo.Stream", {}) as found:
        assert b"".join([piece async for piece in found]) == b"onetwo"
    with pytest.raises(NotFound):
        async with client.stream("Echo.None", {}):
            pass


@pytest.mark.parametrize(("mood", "words"), [
    ("refuse", "Echo.Say: not today"),
    ("garbage", "Echo.Say: error reading plugin resp: "),
    ("die", 'Post "http://plugin.moby.localhost/Echo.Say": EOF'),
])  # fmt: skip
async def test_what_it_does_wrong_is_an_error(
    sample: tuple[Sample, PluginClient], mood: str, words: str
) -> None:
    made, client = sample
    feel(made, mood)
    with pytest.raises(System) as error:
        await client.call("Echo.Say", {"Word": "hi"}, Said)
    assert error.value.message.startswith(words)
    assert (made.state / "calls.jsonl").read_text().count("Echo.Say") == 1


async def test_one_that_hangs_is_not_waited_for_forever(sample: tuple[Sample, PluginClient]) -> None:
    made, client = sample
    feel(made, "hang")
    with pytest.raises(System) as error:
        await client.call("Echo.Say", {"Word": "hi"}, Said, limit_s=0.05)
    assert error.value.message == 'Post "http://plugin.moby.localhost/Echo.Say": context deadline exceeded'


async def test_who_is_in_a_hurry_does_not_wait_twice(sample: tuple[Sample, PluginClient]) -> None:
    made, client = sample
    feel(made, "hang")
    with pytest.raises(System):
        await client.call("Echo.Say", {"Word": "hi"}, Said, limit_s=0.05)
    feel(made, "")
    with pytest.raises(System, match="it did not answer before"):
        await client.call("Echo.Say", {"Word": "hi"}, Said, patient=False)
    await client.call("Echo.Say", {"Word": "hi"}, Said)
    await client.call("Echo.Say", {"Word": "hi"}, Said, patient=False)


async def test_a_method_that_it_does_not_have_is_not_found(sample: tuple[Sample, PluginClient]) -> None:
    _, client = sample
    with pytest.raises(NotFound) as error:
        await client.call("Echo.None", {}, Said)
    assert error.value.message == "Echo.None: 404 page not found\n"


async def test_one_that_is_being_restarted_is_called_again(tmp_path: Path) -> None:
    client = PluginClient(Found("echo", f"unix://{tmp_path}/echo.sock"), 60)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(client.call("Plugin.Activate", None, Said))
        await asyncio.sleep(0)
        with Server(tmp_path / "echo.sock", Sample(tmp_path / "state", ["Echo"], {})):
            assert (await asking).err == ""
    await client.close()


async def test_one_whose_queue_is_full_is_called_again(tmp_path: Path) -> None:
    server = Server(tmp_path / "echo.sock", Sample(tmp_path / "state", ["Echo"], {}))
    server.socket.listen(0)
    client = PluginClient(Found("echo", f"unix://{tmp_path}/echo.sock"), 60)
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(client.call("Plugin.Activate", None, Said)) for _ in range(4)]
        await asyncio.sleep(0)
        with server:
            assert [(await one).err for one in asked] == [""] * 4
    await client.close()


async def test_an_address_of_no_known_kind_is_refused() -> None:
    with pytest.raises(System, match="protocol not available: npipe"):
        await PluginClient(Found("x", "npipe://x"), 0).activate()


async def test_keys_that_are_not_there_are_an_error(tmp_path: Path) -> None:
    client = PluginClient(Found("x", "https://127.0.0.1:1", TlsOptions(ca_file=str(tmp_path / "ca"))), 0)
    with pytest.raises(System, match="could not load the keys of a plugin"):
        await client.activate()


class Secure(Server):
    """On TCP with TLS, where clients must show a certificate that `keys` vouch for."""

    address_family: int = socket.AF_INET

    def __init__(self, keys: Path, sample: Sample) -> None:
        self.sample = sample
        self.path = keys / "none"
        self.ended = threading.Event()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(keys / "cert.pem", keys / "key.pem")
        self.context.load_verify_locations(keys / "cert.pem")
        self.context.verify_mode = ssl.CERT_REQUIRED
        socketserver.TCPServer.__init__(self, ("127.0.0.1", 0), Handling)

    def get_request(self) -> tuple[ssl.SSLSocket, str]:
        connection, _ = self.socket.accept()
        return self.context.wrap_socket(connection, server_side=True), ""


async def test_over_tls_both_sides_are_checked(tmp_path: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x"]
    subprocess.run(
        [*command, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    certificate, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    with Secure(tmp_path, Sample(tmp_path / "state", ["Echo"], {})) as server:
        address = f"https://127.0.0.1:{server.socket.getsockname()[1]}"
        for tls, welcome in (
            (TlsOptions(certificate, certificate, key), True),
            (TlsOptions("", certificate, key, insecure_skip_verify=True), True),
            (TlsOptions("", certificate, key), False),
            (TlsOptions(certificate), False),
        ):
            client = PluginClient(Found("far", address, tls), 0)
            if welcome:
                await client.activate()
                assert client.implements == ("Echo",)
            else:
                with pytest.raises(System):
                    await client.activate()
            await client.close()
