"""This file is about every served operation: its status and the form of its answer, for old clients and new."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import pytest
from aiohttp import ClientSession

from moby.api.operations import EXPERIMENTAL, EXTENSIONS, OPERATIONS
from moby.api.routes.swarm import SwarmRoutes
from tests.contract.fakes import ID, FakeEngine
from tests.contract.schema import answer_schema, operations, problems


class Case(NamedTuple):
    """A request, and the status that answers it."""

    operation: str
    path: str
    status: int = 200
    body: object = None
    lines: bool = False


PLATFORM = '{"os":"linux","architecture":"amd64"}'
CASES = [
    Case("SystemPing", "/_ping"),
    Case("SystemPingHead", "/_ping"),
    Case("SystemInfo", "/info"),
    Case("SystemVersion", "/version"),
    Case("SystemDataUsage", "/system/df"),
    Case("SystemDataUsage", "/system/df?verbose=1"),
    Case("BuildPrune", "/build/prune?all=1&reserved-space=5&filters={%22until%22:[%221h%22]}"),
    Case("SystemEvents", "/events", lines=True),
    Case("SystemEvents", "/events?filters={%22nonsense%22:[%22x%22]}", 400),
    Case("SystemAuth", "/auth", body={"username": "me"}),
    Case("ContainerList", "/containers/json?all=1&limit=3&filters={%22name%22:{%22x%22:true}}"),
    Case("ContainerList", "/containers/json?limit=x", 400),
    Case("ContainerCreate", "/containers/create?name=box", 201, {"Image": "busybox", "HostConfig": {}}),
    Case("ContainerCreate", "/containers/create", 404, {"Image": "missing"}),
    Case("ContainerCreate", "/containers/create", 400, {"Image": 5}),
    Case("ContainerInspect", "/containers/box/json"),
    Case("ContainerInspect", "/containers/box/json?size=1"),
    Case("ContainerInspect", "/containers/b/o/x/json"),
    Case("ContainerInspect", "/containers/none/json", 404),
    Case("ContainerTop", "/containers/box/top"),
    Case("ContainerChanges", "/containers/box/changes"),
    Case("ContainerStart", "/containers/box/start", 204),
    Case("ContainerStart", "/containers/box/start", 400, {"Image": "busybox"}),
    Case("ContainerStop", "/containers/box/stop?t=3", 204),
    Case("ContainerRestart", "/containers/box/restart", 204),
    Case("ContainerKill", "/containers/box/kill?signal=HUP", 204),
    Case("ContainerUpdate", "/containers/box/update", body={"Memory": 5}),
    Case("ContainerRename", "/containers/box/rename?name=new", 204),
    Case("ContainerPause", "/containers/box/pause", 204),
    Case("ContainerUnpause", "/containers/box/unpause", 204),
    Case("ContainerDelete", "/containers/box?force=1", 204),
    Case("ContainerDelete", "/containers/none", 404),
    Case("ContainerPrune", "/containers/prune"),
    Case("ContainerWait", "/containers/box/wait?condition=next-exit"),
    Case("ContainerWait", "/containers/box/wait?condition=nonsense", 400),
    Case("ContainerLogs", "/containers/box/logs?stdout=1"),
    Case("ContainerResize", "/containers/box/resize?h=24&w=80"),
    Case("ContainerArchiveInfo", "/containers/box/archive?path=/there"),
    Case("ContainerArchiveInfo", "/containers/box/archive?path=/nowhere", 404),
    Case("ContainerArchive", "/containers/box/archive?path=/there"),
    Case("ContainerArchive", "/containers/box/archive", 400),
    Case("PutContainerArchive", "/containers/box/archive?path=/there", body=b"tar"),
    Case("PutContainerArchive", "/containers/none/archive?path=/there", 404, body=b"tar"),
    Case("ContainerExport", "/containers/box/export"),
    Case("ImageCommit", "/commit?container=box&repo=new", 201, {"Env": ["A=b"]}),
    Case("ImageCommit", "/commit?container=none", 404, {"Env": []}),
    Case("ContainerStats", "/containers/box/stats", lines=True),
    Case("ContainerStats", "/containers/none/stats", 404),
    Case("ContainerExec", "/containers/box/exec", 201, {"Cmd": ["sh"]}),
    Case("ContainerExec", "/containers/none/exec", 404, {"Cmd": ["sh"]}),
    Case("ExecStart", "/exec/made/start", body={"Detach": True}),
    Case("ExecStart", "/exec/none/start", 404, {"Detach": True}),
    Case("ExecResize", "/exec/made/resize?h=24&w=80"),
    Case("ExecInspect", "/exec/made/json"),
    Case("ExecInspect", "/exec/none/json", 404),
    Case("ImageList", "/images/json"),
    Case("ImageInspect", "/images/busybox/json"),
    Case("ImageInspect", "/images/example.com/a/b:1/json?platform=" + PLATFORM),
    Case("ImageInspect", "/images/none/json", 404),
    Case("ImageHistory", "/images/busybox/history"),
    Case("ImageAttestations", "/images/busybox/attestations?type=https://spdx.dev/Document&statement=1"),
    Case("ImageAttestations", "/images/none/attestations", 404),
    Case("ImageAttestations", f"/images/busybox/attestations?platform={PLATFORM}&platform={PLATFORM}", 400),
    Case("ImageSearch", "/images/search?term=busybox&limit=7"),
    Case("ImageTag", "/images/busybox/tag?repo=other&tag=1", 201),
    Case("ImageTag", "/images/none/tag?repo=other", 404),
    Case("ImageDelete", "/images/busybox"),
    Case("ImagePrune", "/images/prune"),
    Case("ImageCreate", "/images/create?fromImage=busybox&tag=latest", lines=True),
    Case("ImageCreate", "/images/create?fromImage=missing", 404),
    Case("ImageCreate", "/images/create?fromSrc=-", body=b"tar", lines=True),
    Case("ImageCreate", "/images/create?fromSrc=http://example.com/a.tar", lines=True),
    Case("ImagePush", "/images/example.com/a/push?tag=1", lines=True),
    Case("ImageLoad", "/images/load", body=b"tar", lines=True),
    Case("ImageGet", "/images/busybox/get"),
    Case("ImageGetAll", "/images/get?names=a&names=b"),
    Case("DistributionInspect", "/distribution/example.com/a/json"),
    Case("NetworkList", "/networks"),
    Case("NetworkInspect", "/networks/bridge"),
    Case("NetworkInspect", "/networks/none", 404),
    Case("NetworkCreate", "/networks/create", 201, {"Name": "new"}),
    Case("NetworkDelete", "/networks/bridge", 204),
    Case("NetworkDelete", "/networks/none", 404),
    Case("NetworkPrune", "/networks/prune"),
    Case("NetworkConnect", "/networks/bridge/connect", body={"Container": "box"}),
    Case("NetworkDisconnect", "/networks/bridge/disconnect", body={"Container": "box", "Force": True}),
    Case("PluginList", "/plugins"),
    Case("PluginInspect", "/plugins/a/b/json", 404),
    Case("PluginDelete", "/plugins/none", 404),
    Case("PluginEnable", "/plugins/none/enable", 404),
    Case("PluginDisable", "/plugins/none/disable", 404),
    Case("PluginUpgrade", "/plugins/none/upgrade", 404, []),
    Case("PluginPush", "/plugins/none/push", 404),
    Case("PluginSet", "/plugins/none/set", 404, []),
    Case("VolumeList", "/volumes"),
    Case("VolumeCreate", "/volumes/create", 201, {"Name": "data"}),
    Case("VolumeInspect", "/volumes/data"),
    Case("VolumeInspect", "/volumes/none", 404),
    Case("VolumeDelete", "/volumes/data", 204),
    Case("VolumePrune", "/volumes/prune"),
]
SWARM = {route.operation for route in SwarmRoutes().routes()}
ELSEWHERE = {"ContainerAttach", "ContainerAttachWebsocket", *SWARM}

# What the definition leaves out, though dockerd sends it and clients read it.
BESIDE_THE_DEFINITION = {
    "ContainerInspect": ("$.HostConfig.MemorySwappiness: null", "$.HostConfig.OomKillDisable: null"),
    "SystemVersion": ("$: there is no Experimental",),
    "SystemDataUsage": ("$: there is no ",),
    "ContainerList": ("$[0].NetworkSettings", "$[1].NetworkSettings"),
}


def test_every_served_operation_has_a_case() -> None:
    served = {route.operation for route in FakeEngine().backends().routes()}
    assert served - set(EXTENSIONS) - set(EXPERIMENTAL) == {case.operation for case in CASES} | ELSEWHERE


def test_operations_are_those_of_the_definition() -> None:
    assert {name: (item.method, item.path) for name, item in OPERATIONS.items()} == {
        name: (item["method"], item["path"]) for name, item in operations().items()
    }
    assert len(OPERATIONS) == 108


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.operation}-{case.status}-{case.path}")
async def test_answers_as_defined(client: ClientSession, case: Case) -> None:
    status, text = await _ask(client, case, "1.55")
    assert status == case.status, text
    schema = answer_schema(case.operation, status)
    if schema is None or not text:
        return
    known = BESIDE_THE_DEFINITION.get(case.operation, ())
    for value in _values(text, case, status):
        assert [problem for problem in problems(value, schema) if not problem.startswith(known or "!")] == []


@pytest.mark.parametrize("version", ["1.24", "1.44", "1.50"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.operation}-{case.status}-{case.path}")
async def test_answers_old_clients(client: ClientSession, case: Case, version: str) -> None:
    status, text = await _ask(client, case, version)
    if status == 400 and b"requires minimum API version" in text:
        assert OPERATIONS[case.operation].since > tuple(int(part) for part in version.split("."))
    elif not (version == "1.24" and "nonsense" in case.path):
        assert status == case.status, text


async def _ask(client: ClientSession, case: Case, version: str) -> tuple[int, bytes]:
    body: dict[str, Any] = {"data": case.body} if isinstance(case.body, bytes) else {"json": case.body}
    method = OPERATIONS[case.operation].method
    async with client.request(method, f"/v{version}{case.path}", **(body if case.body else {})) as answer:
        return answer.status, await answer.read()


def _values(text: bytes, case: Case, status: int) -> list[Any]:
    if case.lines and status == 200:
        return [msgspec.json.decode(line) for line in text.splitlines()]
    return [msgspec.json.decode(text)] if text[:1] in b"[{" else []


@pytest.mark.parametrize("name", sorted(SWARM))
async def test_without_a_swarm_that_is_said(client: ClientSession, name: str) -> None:
    method, path, _ = OPERATIONS[name]
    async with client.request(method, path.replace("{id}", ID)) as answer:
        assert answer.status == 503
        assert (await answer.json())["message"].startswith("This node is not ")


@pytest.mark.parametrize(
    "name", sorted(set(OPERATIONS) - {case.operation for case in CASES} - ELSEWHERE), ids=str
)
async def test_what_is_not_supported_says_so(client: ClientSession, name: str) -> None:
    method, path, _ = OPERATIONS[name]
    async with client.request(method, path.replace("{id}", ID).replace("{name}", "x")) as answer:
        assert answer.status == 501
        if method != "HEAD":
            assert f"{name} ({method} {path})" in (await answer.json())["message"]
