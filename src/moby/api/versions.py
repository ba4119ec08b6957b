"""This file is about API versions: which are spoken, and what answers to older clients look like.

The engine knows the newest version only. What differs for an older client is added to or taken from the
answer here; https://docs.docker.com/reference/api/engine/version-history/ says what and since when.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import msgspec

from moby.core.errors import InvalidParameter
from moby.core.types.containers import ContainerInspectResponse, ContainerSummary
from moby.core.types.images import ImageInspect, ImageSummary
from moby.core.types.system import DiskUsage, Info

Version = tuple[int, ...]

MAXIMUM: Version = (1, 55)
MINIMUM: Version = (1, 24)


def show(version: Version) -> str:
    """`1.55`."""
    return ".".join(str(part) for part in version)


@functools.lru_cache(maxsize=256)
def parse(text: str) -> Version:
    """`1.24` as numbers that compare; what is no number counts as 0."""
    version = tuple(int(part) if part.isdigit() and len(part) < 10 else 0 for part in text.split("."))
    while len(version) > 2 and version[-1] == 0:
        version = version[:-1]
    return version


def negotiate(text: str) -> Version:
    """The version that a client asked for in its path. Raises InvalidParameter if it is not spoken here."""
    version = parse(text)
    if version < MINIMUM:
        raise InvalidParameter(
            f"client version {text} is too old. Minimum supported API version is {show(MINIMUM)}, "
            "please upgrade your client to a newer version"
        )
    if version > MAXIMUM:
        raise InvalidParameter(
            f"client version {text} is too new. Maximum supported API version is {show(MAXIMUM)}"
        )
    return version


def _add(answer: dict[str, Any], extra: dict[str, Any]) -> None:
    """Put in what is not there, or is null; objects are filled, not replaced."""
    for key, value in extra.items():
        have = answer.get(key)
        if isinstance(value, dict) and isinstance(have, dict):
            _add(have, value)
        elif have is None:
            answer[key] = value


def _builtins(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(value)
    return found


def container_inspect(answer: ContainerInspectResponse, version: Version) -> object:
    """`GET /containers/ID/json`."""
    if version >= (1, 52):
        if answer.config is not None and answer.config.mac_address:
            found = _builtins(answer)
            del found["Config"]["MacAddress"]
            return found
        return answer
    found = _builtins(answer)
    networks: dict[str, dict[str, Any]] = (found.get("NetworkSettings") or {}).get("Networks") or {}
    if version < (1, 45):
        names = [answer.id[:12], answer.config.hostname if answer.config else ""]
        for name, endpoint in networks.items():
            if name not in ("bridge", "host", "none", "default"):
                endpoint["Aliases"] = list(dict.fromkeys([*(endpoint["Aliases"] or []), *names]))
    if version < (1, 48):
        found.pop("ImageManifestDescriptor", None)
    if bridge := networks.get("bridge"):
        keys = (
            "EndpointID",
            "Gateway",
            "GlobalIPv6Address",
            "GlobalIPv6PrefixLen",
            "IPAddress",
            "IPPrefixLen",
            "IPv6Gateway",
            "MacAddress",
        )
        _add(found, {"NetworkSettings": {key: bridge[key] for key in keys}})
    snapshot = (((found.get("Storage") or {}).get("RootFS")) or {}).get("Snapshot")
    if snapshot and "GraphDriver" not in found:
        found["GraphDriver"] = {"Data": None, "Name": snapshot.get("Name", "")}
        del found["Storage"]
    return found


def container_list(answer: Sequence[ContainerSummary | msgspec.Raw], version: Version) -> object:
    """`GET /containers/json`. What needs no change stays the fragment of JSON that it is."""
    if version >= (1, 52):
        return answer
    return [_container_line(line, version) for line in answer]


def _container_line(line: ContainerSummary | msgspec.Raw, version: Version) -> object:
    if isinstance(line, msgspec.Raw):
        return _older(bytes(line), described=version >= (1, 48), annotated=version >= (1, 46))
    return _without_news(_builtins(line), described=version >= (1, 48), annotated=version >= (1, 46))


@functools.lru_cache(maxsize=4096)
def _older(line: bytes, *, described: bool, annotated: bool) -> msgspec.Raw:
    """A line as older clients know it; kept, since decoding every line would cost most of the answer."""
    found = _without_news(msgspec.json.decode(line), described=described, annotated=annotated)
    return msgspec.Raw(msgspec.json.encode(found))


def _without_news(found: dict[str, Any], *, described: bool, annotated: bool) -> dict[str, Any]:
    found.pop("Health", None)
    if not described:
        found.pop("ImageManifestDescriptor", None)
    if not annotated:
        found.get("HostConfig", {}).pop("Annotations", None)
    return found


_CONFIG_1_51 = {
    "Cmd": None,
    "Entrypoint": None,
    "Env": None,
    "Labels": None,
    "OnBuild": None,
    "User": "",
    "Volumes": None,
    "WorkingDir": "",
}
_CONFIG_1_49 = {
    **_CONFIG_1_51,
    "AttachStderr": False,
    "AttachStdin": False,
    "AttachStdout": False,
    "Domainname": "",
    "Hostname": "",
    "Image": "",
    "OpenStdin": False,
    "StdinOnce": False,
    "Tty": False,
}


def image_inspect(answer: ImageInspect, version: Version) -> object:
    """`GET /images/NAME/json`."""
    if version >= (1, 53):
        return answer
    found = _builtins(answer)
    found.pop("Identity", None)
    if version >= (1, 52):
        return found
    extra: dict[str, Any] = {"Parent": "", "Comment": "", "DockerVersion": "", "Author": ""}
    extra["Config"] = dict(_CONFIG_1_49 if version < (1, 50) else _CONFIG_1_51)
    if version < (1, 44):
        extra |= {"VirtualSize": answer.size, "Created": "0001-01-01T00:00:00Z"}
    if version < (1, 45):
        extra |= {"Container": "", "ContainerConfig": None}
    if version < (1, 48):
        found.pop("Descriptor", None)
    _add(found, extra)
    return found


def image_list(answer: Sequence[ImageSummary], version: Version, *, counted: bool = False) -> object:
    """`GET /images/json`; with the numbers of containers for old clients only where these are `counted`."""
    if version >= (1, 51):
        return answer
    lines = [_builtins(line) for line in answer]
    for line in lines:
        if not counted:
            line["Containers"] = -1
        if version < (1, 48):
            line.pop("Descriptor", None)
        if version < (1, 44):
            line["VirtualSize"] = line["Size"]
        if version < (1, 43) and not line["RepoTags"] and not line["RepoDigests"]:
            line["RepoTags"], line["RepoDigests"] = ["<none>:<none>"], ["<none>@<none>"]
    return lines


def info(answer: Info, version: Version) -> object:
    """`GET /info`."""
    if version >= (1, 53):
        return answer
    found = _builtins(answer)
    found.pop("NRI", None)
    if version < (1, 50):
        found.pop("DiscoveredDevices", None)
        found |= {"BridgeNfIptables": False, "BridgeNfIp6tables": False}
    if version < (1, 49):
        found.pop("FirewallBackend", None)
        for key in ("ContainerdCommit", "RuncCommit", "InitCommit"):
            found[key]["Expected"] = found[key]["ID"]
    if version < (1, 47) and found.get("RegistryConfig") is not None:
        found["RegistryConfig"] |= {
            "AllowNondistributableArtifactsCIDRs": None,
            "AllowNondistributableArtifactsHostnames": None,
        }
    if version < (1, 46):
        found.pop("Containerd", None)
    if version < (1, 44):
        for runtime in found["Runtimes"].values():
            runtime.pop("status", None)
    return found


def disk_usage(answer: DiskUsage, version: Version, *, verbose: bool) -> object:
    """`GET /system/df`: the old lists for old clients, both for new ones that do not ask for details."""
    if version >= (1, 52) and verbose:
        return answer
    found: dict[str, Any] = {}
    if (images := answer.image_usage) is not None:
        if images.total_size:
            found["LayersSize"] = images.total_size
        found["Images"] = image_list(images.items, version, counted=True)
    if (containers := answer.container_usage) is not None:
        found["Containers"] = container_list(list(containers.items), version)
    if (volumes := answer.volume_usage) is not None:
        found["Volumes"] = volumes.items
    if (cache := answer.build_cache_usage) is not None:
        found["BuildCache"] = cache.items
    if version >= (1, 52):
        found |= _builtins(answer)
        for key in ("ImageUsage", "ContainerUsage", "VolumeUsage", "BuildCacheUsage"):
            if key in found:
                found[key].pop("Items", None)
    return found
