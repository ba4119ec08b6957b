"""This file is about finding an operation by its path."""

from __future__ import annotations

import pytest

from moby.api.operations import OPERATIONS
from moby.api.routing import Table, clean, split_target


@pytest.mark.parametrize(
    ("method", "path", "operation", "name"),
    [
        ("GET", "/containers/json", "ContainerList", ""),
        ("GET", "/containers/box/json", "ContainerInspect", "box"),
        ("GET", "/containers/b/o/x/json", "ContainerInspect", "b/o/x"),
        ("GET", "/containers/json/json", "ContainerInspect", "json"),
        ("GET", "/containers/box/attach/ws", "ContainerAttachWebsocket", "box"),
        ("POST", "/containers/box/attach", "ContainerAttach", "box"),
        ("HEAD", "/containers/box/archive", "ContainerArchiveInfo", "box"),
        ("DELETE", "/containers/box", "ContainerDelete", "box"),
        ("DELETE", "/images/example.com/a/b:1", "ImageDelete", "example.com/a/b:1"),
        ("GET", "/images/get", "ImageGetAll", ""),
        ("GET", "/images/example.com/a/get", "ImageGet", "example.com/a"),
        ("POST", "/images/example.com:5000/a/push", "ImagePush", "example.com:5000/a"),
        ("GET", "/networks", "NetworkList", ""),
        ("GET", "/networks/", "NetworkList", ""),
        ("GET", "/networks/mine", "NetworkInspect", "mine"),
        ("POST", "/networks/mine/connect", "NetworkConnect", "mine"),
        ("GET", "/_ping", "SystemPing", ""),
        ("GET", "/distribution/a/b/json", "DistributionInspect", "a/b"),
    ],
)
def test_found(method: str, path: str, operation: str, name: str) -> None:
    found = Table([]).find(method, path)
    assert found is not None
    assert (found[0].operation, found[1]) == (operation, name)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/nonsense"),
        ("HEAD", "/containers/json"),
        ("PATCH", "/info"),
        ("POST", "/images/a/b"),
    ],
)
def test_not_found(method: str, path: str) -> None:
    assert Table([]).find(method, path) is None


def test_every_operation_is_found_by_its_own_path() -> None:
    table = Table([])
    for name, operation in OPERATIONS.items():
        found = table.find(operation.method, operation.path.replace("{id}", "x").replace("{name}", "x"))
        assert found is not None
        assert found[0].operation == name


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/info", ("", "/info", "")),
        ("/v1.44/info?a=b", ("1.44", "/info", "a=b")),
        ("/v1.44", ("", "/v1.44", "")),
        ("/volumes", ("", "/volumes", "")),
        ("/v1x/info", ("", "/v1x/info", "")),
        ("http://engine/v1.44/info", ("1.44", "/info", "")),
        ("/images/a%2Fb/json", ("", "/images/a/b/json", "")),
    ],
)
def test_split(target: str, expected: tuple[str, str, str]) -> None:
    assert split_target(target) == expected


def test_clean() -> None:
    assert clean("/a/../../b//c/./d/") == "/b/c/d/"
    assert clean("/..") == "/"
