"""Registries that refuse, break off, lie and send elsewhere; whatever they do, nothing half-made is left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from moby.core.descriptor import OCI_INDEX
from moby.core.errors import DataLoss, InvalidParameter, MobyError, NotFound, System, Unavailable
from moby.core.reference import parse_reference
from moby.core.types.jsonstream import JSONMessage
from moby.core.types.registries import AuthConfig
from moby.images.jobs import Jobs, Report, first_error
from moby.images.pull import Puller, PullRequest
from moby.images.registry.client import Registries
from moby.images.registry.settings import RegistryConfig
from moby.testing.images import MemoryImages
from tests.integration.registry.conftest import Made, digest

CONFIG = RegistryConfig(certs_dir="/nonexistent", retry_delay_s=0.001, max_download_attempts=3)
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MADE = Made({"a": bytes(range(256)) * 1000}, {"b": b"2"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Registry:
    """A registry by hand; a test replaces one of its answers."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.manifest: Handler = self.good_manifest
        self.blob: Handler = self.good_blob
        self.other: Handler = self.nothing
        self.address = ""

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.method, request.path, dict(request.headers)))
        if "/manifests/" in request.path:
            return await self.manifest(request)
        if "/blobs/" in request.path:
            return await self.blob(request)
        return await self.other(request)

    async def good_manifest(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=MADE.manifest, content_type=MANIFEST)

    async def good_blob(self, request: web.Request) -> web.StreamResponse:
        data = MADE.blobs[request.path.rpartition("/")[2]]
        start = int(request.headers.get("Range", "bytes=0-")[6:-1])
        headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        return web.Response(body=data[start:], status=206 if start else 200, headers=headers)

    async def nothing(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=404)


@asynccontextmanager
async def serving(registry: Registry) -> AsyncIterator[str]:
    server = web.Server(registry)  # type: ignore[arg-type]
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    registry.address = f"127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]
    try:
        yield registry.address
    finally:
        await runner.cleanup()


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    found = Registry()
    async with serving(found):
        yield found


@pytest.fixture
def store() -> MemoryImages:
    return MemoryImages()


async def pull(registry: Registry, store: MemoryImages, auth: AuthConfig | None = None) -> list[JSONMessage]:
    messages: list[JSONMessage] = []
    reference = parse_reference(f"{registry.address}/a/b:1")
    async with Registries(lambda: CONFIG) as registries:
        try:
            await Puller(store, registries).pull(PullRequest(reference, auth=auth), Report(messages.append))
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None
    return messages


def nothing_left(store: MemoryImages) -> bool:
    return not (store.blobs or store.snapshots or store.names or store.leased)


def answer(status: int, body: bytes = b"", **headers: str) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(
            status=status, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    return handler


@pytest.mark.parametrize(
    ("handler", "kind", "message"),
    [
        (answer(404), NotFound, "not found"),
        (answer(401), NotFound, "pull access denied for"),
        (answer(403, b'{"errors":[{"code":"DENIED","message":"no"}]}'), MobyError, "error from registry: no"),
        (answer(500), MobyError, "500 Internal Server Error"),
        (answer(503), System, "503"),
        (answer(200, b"garbage", Content_Type=MANIFEST), InvalidParameter, "invalid manifest"),
        (answer(200, b"<html>", Content_Type="text/html"), InvalidParameter, "invalid manifest"),
        (answer(200, b"x" * (5 << 20), Content_Type=MANIFEST), InvalidParameter, "larger than"),
        (
            answer(200, MADE.manifest, Docker_Content_Digest="sha256:" + "0" * 64),
            DataLoss,
            "unexpected digest",
        ),
        (
            answer(200, MADE.manifest, Docker_Content_Digest="../../x"),
            InvalidParameter,
            "digest that is none",
        ),
        (answer(302, Location="file:///etc/passwd"), MobyError, "redirected to file"),
        (answer(302, Location="/v2/a/b/manifests/1"), MobyError, "stopped after 10 redirects"),
        (answer(401, WWW_Authenticate='Bearer realm="gopher://x"'), NotFound, "pull access denied for"),
        (answer(401, WWW_Authenticate="Basic"), System, "no basic auth credentials"),
    ],
)
async def test_bad_manifest_answers(
    registry: Registry, store: MemoryImages, handler: Handler, kind: type[MobyError], message: str
) -> None:
    registry.manifest = handler
    with pytest.raises(kind, match=message):
        await pull(registry, store)
    assert nothing_left(store)


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        pytest.param(answer(404), NotFound, id="missing"),
        pytest.param(answer(500), MobyError, id="fails"),
        pytest.param(answer(200, b"wrong"), MobyError, id="short"),
        pytest.param(answer(200, b"x" * 10_000_000), DataLoss, id="long"),
    ],
)
async def test_bad_blobs(
    registry: Registry, store: MemoryImages, handler: Handler, kind: type[MobyError]
) -> None:
    registry.blob = handler
    with pytest.raises(kind) as caught:
        await pull(registry, store)
    if isinstance(caught.value, Unavailable):
        # Another try may go on where this one ended.
        await store.leases.let_go()
    assert nothing_left(store)


async def test_wrong_bytes_of_the_right_size(registry: Registry, store: MemoryImages) -> None:
    async def wrong(request: web.Request) -> web.StreamResponse:
        return web.Response(body=bytes(len(MADE.blobs[request.path.rpartition("/")[2]])))

    registry.blob = wrong
    with pytest.raises(DataLoss):
        await pull(registry, store)
    assert nothing_left(store)


def described(data: bytes, kind: str, **more: object) -> dict[str, object]:
    return {"mediaType": kind, "digest": digest(data), "size": len(data), **more}


async def test_indexes_without_end(registry: Registry, store: MemoryImages) -> None:
    """Each index names another one, for as long as somebody follows."""
    blobs: dict[str, bytes] = {}
    inner = described(MADE.manifest, MANIFEST)
    for _ in range(40):
        index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [inner]}).encode()
        blobs[digest(index)] = index
        inner = described(index, OCI_INDEX)

    async def next_one(request: web.Request) -> web.StreamResponse:
        asked = request.path.rpartition("/")[2]
        return web.Response(body=blobs.get(asked, index), content_type=OCI_INDEX)

    registry.manifest = next_one
    with pytest.raises(InvalidParameter, match="nested too deeply"):
        await pull(registry, store)
    assert nothing_left(store)
    assert len(registry.seen) < 10


async def test_layers_that_lie_elsewhere_are_not_fetched_from_there(
    registry: Registry, store: MemoryImages
) -> None:
    """CVE-2020-15157: credentials went to the addresses that a manifest named. Only the registry is asked."""
    elsewhere = Registry()
    async with serving(elsewhere):
        foreign = described(
            b"x" * 10,
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            urls=[f"http://{elsewhere.address}/layer"],
        )
        config = described(MADE.config, "application/vnd.docker.container.image.v1+json")
        manifest = json.dumps(
            {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [foreign]}
        ).encode()

        async def named(request: web.Request) -> web.StreamResponse:
            return web.Response(body=manifest, content_type=MANIFEST)

        async def missing(request: web.Request) -> web.StreamResponse:
            if request.path.endswith(digest(MADE.config)):
                return await registry.good_blob(request)
            return web.Response(status=404)

        registry.manifest, registry.blob = named, missing
        with pytest.raises(NotFound):
            await pull(registry, store)
    assert not elsewhere.seen
    assert nothing_left(store)


async def test_broken_transfers_are_resumed(registry: Registry, store: MemoryImages) -> None:
    async def halves(request: web.Request) -> web.StreamResponse:
        data = MADE.blobs[request.path.rpartition("/")[2]]
        start = int(request.headers.get("Range", "bytes=0-")[6:-1])
        rest = data[start:]
        response = web.StreamResponse(status=206 if start else 200)
        response.content_length = len(rest)
        response.headers["Content-Range"] = f"bytes {start}-"
        await response.prepare(request)
        await response.write(rest[: max(1, len(rest) // 2)])
        if len(rest) > 1:
            await asyncio.sleep(0.005)
            assert request.transport is not None
            request.transport.close()
        return response

    registry.blob = halves
    await pull(registry, store)
    assert store.names
    ranges = [headers["Range"] for _, path, headers in registry.seen if "Range" in headers]
    assert ranges


async def test_no_more_is_fetched_at_once_than_is_allowed(registry: Registry, store: MemoryImages) -> None:
    made = Made(*({"f": bytes([number]) * 1000} for number in range(8)))
    now, most = 0, 0

    async def manifest(request: web.Request) -> web.StreamResponse:
        return web.Response(body=made.manifest, content_type=MANIFEST)

    async def blob(request: web.Request) -> web.StreamResponse:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return web.Response(body=made.blobs[request.path.rpartition("/")[2]])

    registry.manifest, registry.blob = manifest, blob
    config = RegistryConfig(certs_dir="/nonexistent", max_concurrent_downloads=2)
    async with Registries(lambda: config) as registries:
        request = PullRequest(parse_reference(f"{registry.address}/a/b:1"))
        await Puller(store, registries).pull(request, Report(lambda _: None))
    assert most == 2


async def test_patience_is_asked_for_and_given(registry: Registry, store: MemoryImages) -> None:
    tries = 0

    async def busy(request: web.Request) -> web.StreamResponse:
        nonlocal tries
        tries += 1
        if tries < 3:
            return web.Response(status=429, headers={"Retry-After": "0"})
        return await registry.good_manifest(request)

    registry.manifest = busy
    await pull(registry, store)
    assert tries == 3


async def test_token_is_fetched_once_and_kept_from_others(registry: Registry, store: MemoryImages) -> None:
    elsewhere = Registry()

    async def guarded(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != "Bearer t":
            realm = f'Bearer realm="http://{registry.address}/token",service="s"'
            return web.Response(status=401, headers={"WWW-Authenticate": realm})
        if "/blobs/" in request.path:
            return web.Response(status=307, headers={"Location": f"http://{elsewhere.address}{request.path}"})
        return await registry.good_manifest(request)

    async def token(request: web.Request) -> web.StreamResponse:
        return web.json_response({"token": "t"})

    registry.manifest = registry.blob = guarded
    registry.other = token
    async with serving(elsewhere):
        await pull(registry, store, AuthConfig(username="u", password="p"))
    assert sum(path == "/token" for _, path, _ in registry.seen) == 1
    assert len(elsewhere.seen) == 3
    assert not any("Authorization" in headers for _, _, headers in elsewhere.seen)


async def test_credentials_are_not_told_in_errors(
    registry: Registry, store: MemoryImages, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither ours nor those that an address has in it, as those of object stores have."""
    caplog.set_level("DEBUG")
    registry.blob = answer(307, Location="http://who:hidden@127.0.0.1:1/layer?X-Amz-Signature=hidden")
    with pytest.raises(MobyError) as caught:
        await pull(registry, store, AuthConfig(username="u", password="hidden"))
    told = f"{caught.value} {caught.value.fields} {caught.value.hint}"
    assert "127.0.0.1:1" in told
    assert "hidden" not in told
    assert "hidden" not in " ".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)


async def test_one_pull_serves_all_who_wait(registry: Registry, store: MemoryImages) -> None:
    gate = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        await gate.wait()
        return await registry.good_blob(request)

    registry.blob = slow
    async with Registries(lambda: CONFIG) as registries, Jobs() as jobs:
        puller = Puller(store, registries)
        request = PullRequest(parse_reference(f"{registry.address}/a/b:1"))

        async def work(report: Report) -> None:
            await puller.pull(request, report)

        first, second = (jobs.listen(work, request.key()) for _ in range(2))
        assert (await anext(first)).status == "Pulling from a/b"
        assert (await anext(second)).status == "Pulling from a/b"
        await first.aclose()  # type: ignore[attr-defined]
        gate.set()
        rest = [message.status async for message in second]
        assert rest[-1].startswith("Status: Downloaded newer image")
    assert sum("/manifests/" in path for _, path, _ in registry.seen) == 1
    assert len(store.names) == 1


async def test_pull_that_nobody_waits_for_ends(registry: Registry, store: MemoryImages) -> None:
    async def never(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    registry.blob = never
    async with Registries(lambda: CONFIG) as registries, Jobs() as jobs:
        puller = Puller(store, registries)
        request = PullRequest(parse_reference(f"{registry.address}/a/b:1"))

        async def work(report: Report) -> None:
            await puller.pull(request, report)

        listener = jobs.listen(work, request.key())
        await anext(listener)
        await listener.aclose()  # type: ignore[attr-defined]
        await store.leases.let_go()
        assert nothing_left(store)
