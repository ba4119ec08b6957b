"""What is asked of the web beside images: searches, and archives to import."""

from __future__ import annotations

import json

import pytest
from aiohttp import web

from moby.core.errors import Forbidden, InvalidParameter, MobyError, NotFound, System, Unavailable
from moby.core.filters import Filters
from moby.core.types.registries import AuthConfig
from moby.engine.images.matching import search_matcher
from moby.images.downloads import Download
from moby.images.registry.client import Registries
from moby.images.registry.search import search
from moby.images.registry.settings import RegistryConfig
from tests.integration.registry.test_misbehaving import Handler, Registry, answer, serving

CONFIG = RegistryConfig(certs_dir="/nonexistent", retry_delay_s=0.001, max_download_attempts=2)
RESULTS = [
    {"name": "ours/one", "description": "1", "star_count": 7, "is_official": False, "is_automated": True},
    {
        "name": "two",
        "description": "2",
        "star_count": 90,
        "is_official": True,
        "is_automated": False,
        "new": 1,
    },
]


async def found(
    other: Handler, limit: int = 0, term: str = "word s", auth: AuthConfig | None = None
) -> list[str]:
    registry = Registry()
    registry.other = other
    async with serving(registry) as address, Registries(lambda: CONFIG) as registries:
        return [each.name for each in await search(registries, f"{address}/{term}", limit, auth)]


async def test_repositories_are_found() -> None:
    async def index(request: web.Request) -> web.StreamResponse:
        assert (request.path, request.query["q"], request.query["n"]) == ("/v1/search", "word s", "25")
        return web.json_response({"num_results": 2, "results": RESULTS})

    assert await found(index) == ["ours/one", "two"]


async def test_a_name_and_a_password_are_given_when_they_are_asked_for() -> None:
    async def index(request: web.Request) -> web.StreamResponse:
        if "Authorization" not in request.headers:
            return web.Response(status=401, headers={"WWW-Authenticate": "Basic realm=x"})
        return web.json_response({"results": RESULTS[:1]})

    assert await found(index, auth=AuthConfig(username="u", password="p")) == ["ours/one"]


@pytest.mark.parametrize(
    ("handler", "limit", "kind", "words"),
    [
        (answer(500), 0, System, "unexpected status code 500"),
        (answer(404), 0, System, "unexpected status code 404"),
        (answer(200, b"<html>"), 0, System, "error decoding registry search results"),
        (answer(200, b"x" * (5 << 20)), 0, InvalidParameter, "larger than"),
        (answer(200), 101, InvalidParameter, "outside the range"),
        (answer(200), -1, InvalidParameter, "outside the range"),
    ],
)
async def test_bad_searches(handler: Handler, limit: int, kind: type[MobyError], words: str) -> None:
    with pytest.raises(kind, match=words):
        await found(handler, limit)


async def test_a_term_is_no_url() -> None:
    async with Registries(lambda: CONFIG) as registries:
        with pytest.raises(InvalidParameter, match="should not have a scheme"):
            await search(registries, "https://x/y", 1)


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, ["ours/one", "two"]),
        ({"is-official": ["true"]}, ["two"]),
        ({"is-official": ["false"]}, ["ours/one"]),
        ({"stars": ["3", "8"]}, ["two"]),
        ({"is-automated": ["true"]}, []),
    ],
)
async def test_filters_of_searches(filters: dict[str, list[str]], names: list[str]) -> None:
    registry = Registry()
    registry.other = answer(200, json.dumps({"results": RESULTS}).encode())
    passes = search_matcher(Filters(filters))
    async with serving(registry) as address, Registries(lambda: CONFIG) as registries:
        results = [each for each in await search(registries, f"{address}/x", 0) if passes(each)]
    assert [each.name for each in results] == names
    assert not any(each.is_automated for each in results)


@pytest.mark.parametrize("filters", [{"stars": ["x"]}, {"is-official": ["maybe"]}, {"colour": ["red"]}])
def test_bad_filters_of_searches(filters: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidParameter):
        search_matcher(Filters(filters))


async def downloaded(url: str) -> tuple[bytes, list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []
    async with Registries(lambda: CONFIG) as registries:
        chunks = Download(registries, url).chunks(lambda *how: told.append(how))
        return b"".join([chunk async for chunk in chunks]), told


async def test_archives_are_downloaded_with_and_without_a_scheme() -> None:
    async def file(request: web.Request) -> web.StreamResponse:
        if request.path == "/moved":
            return web.Response(status=302, headers={"Location": "/a.tar"})
        return web.Response(body=b"tar" * 1000)

    registry = Registry()
    registry.other = file
    async with serving(registry) as address:
        for url in (f"http://{address}/a.tar", f"{address}/a.tar", f"{address}/moved"):
            data, told = await downloaded(url)
            assert (data, told[0], told[-1]) == (b"tar" * 1000, (0, 3000), (3000, 3000))


@pytest.mark.parametrize(
    ("status", "kind"), [(404, NotFound), (403, Forbidden), (500, System), (400, InvalidParameter)]
)
async def test_archives_that_are_not_there(status: int, kind: type[MobyError]) -> None:
    registry = Registry()
    registry.other = answer(status, b"why")
    async with serving(registry) as address:
        with pytest.raises(kind, match=f"with status {status}.*: why"):
            await downloaded(f"{address}/a.tar")
    with pytest.raises(Unavailable, match=r"failed to GET .*: dial tcp .*: connect: connection refused"):
        await downloaded(f"{address}/a.tar")
    for bad in ("ftp://x/y", "file:///etc/passwd", "http://", "%2Fdata%2Ffile.tar"):
        with pytest.raises(InvalidParameter, match="invalid URL"):
            await downloaded(bad)
