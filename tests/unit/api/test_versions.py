"""This file is about what older clients are answered."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from moby.api import versions
from moby.core.codec import encode
from moby.core.descriptor import OCI_INDEX, Descriptor
from moby.core.errors import InvalidParameter
from moby.core.types.containers import (
    ContainerConfig,
    ContainerInspectResponse,
    ContainerSummary,
    EndpointSettings,
    HealthSummary,
    NetworkSettings,
    RootFSStorage,
    RootFSStorageSnapshot,
    Storage,
)
from moby.core.types.images import ImageConfig, ImageInspect, ImageSummary
from moby.core.types.system import Commit, ContainerUsage, DiskUsage, FirewallInfo, ImageUsage, Info

INDEX = Descriptor(OCI_INDEX, "sha256:" + "a" * 64, 1)


def _shown(answer: object) -> Any:
    return msgspec.json.decode(encode(answer))


@pytest.mark.parametrize(
    ("text", "version"), [("1.24", (1, 24)), ("1.55", (1, 55)), ("1.44.0", (1, 44)), ("01.30", (1, 30))]
)
def test_spoken(text: str, version: versions.Version) -> None:
    assert versions.negotiate(text) == version


@pytest.mark.parametrize("text", ["1.23", "1.56", "2.0", "0", ".", "1.999999999999"])
def test_not_spoken(text: str) -> None:
    with pytest.raises(InvalidParameter, match=f"client version {text} is too (old|new)"):
        versions.negotiate(text)


def _container() -> ContainerInspectResponse:
    bridge = EndpointSettings(ip_address="172.17.0.2", mac_address="02:00:00:00:00:02")
    return ContainerInspectResponse(
        id="f" * 64,
        config=ContainerConfig(hostname="web", mac_address="02:00:00:00:00:01"),
        storage=Storage(root_fs=RootFSStorage(snapshot=RootFSStorageSnapshot(name="overlayfs"))),
        network_settings=NetworkSettings(networks={"bridge": bridge, "mine": EndpointSettings()}),
        image_manifest_descriptor=INDEX,
    )


def test_container_for_the_newest_client() -> None:
    found = _shown(versions.container_inspect(_container(), (1, 55)))
    assert "MacAddress" not in found["Config"]
    assert found["Storage"] == {"RootFS": {"Snapshot": {"Name": "overlayfs"}}}
    assert found["NetworkSettings"].keys() == {"SandboxID", "SandboxKey", "Ports", "Networks"}


def test_container_for_older_clients() -> None:
    found = _shown(versions.container_inspect(_container(), (1, 51)))
    assert found["Config"]["MacAddress"] == "02:00:00:00:00:01"
    assert found["GraphDriver"] == {"Data": None, "Name": "overlayfs"}
    assert "Storage" not in found
    assert found["NetworkSettings"]["IPAddress"] == "172.17.0.2"
    assert "ImageManifestDescriptor" in found
    assert found["NetworkSettings"]["Networks"]["mine"]["Aliases"] is None

    oldest = _shown(versions.container_inspect(_container(), (1, 24)))
    assert "ImageManifestDescriptor" not in oldest
    assert oldest["NetworkSettings"]["Networks"]["mine"]["Aliases"] == ["f" * 12, "web"]
    assert oldest["NetworkSettings"]["Networks"]["bridge"]["Aliases"] is None


def test_line_of_a_container_stays_encoded_where_it_can() -> None:
    plain = msgspec.Raw(encode(ContainerSummary(id="a", image_manifest_descriptor=INDEX)))
    healthy = ContainerSummary(id="b", health=HealthSummary(status="healthy"))
    assert versions.container_list([plain], (1, 50)) == [plain]
    assert "ImageManifestDescriptor" not in _shown(versions.container_list([plain], (1, 47)))[0]
    for line in (healthy, msgspec.Raw(encode(healthy))):
        assert "Health" in _shown(versions.container_list([line], (1, 52)))[0]
        assert "Health" not in _shown(versions.container_list([line], (1, 51)))[0]


def test_image_for_older_clients() -> None:
    image = ImageInspect(id="a", config=ImageConfig(cmd=["sh"]), size=5, descriptor=INDEX)
    assert _shown(versions.image_inspect(image, (1, 52)))["Config"] == {"Cmd": ["sh"]}
    found = _shown(versions.image_inspect(image, (1, 51)))
    assert found["Config"]["Cmd"] == ["sh"]
    assert found["Config"]["Env"] is None
    assert "Tty" not in found["Config"]
    assert found["DockerVersion"] == ""
    oldest = _shown(versions.image_inspect(image, (1, 43)))
    assert oldest["VirtualSize"] == 5
    assert oldest["Config"]["Tty"] is False
    assert "Descriptor" not in oldest


def test_images_for_older_clients() -> None:
    image = ImageSummary(id="a", size=5, containers=2, descriptor=INDEX)
    assert _shown(versions.image_list([image], (1, 51)))[0]["Containers"] == 2
    oldest = _shown(versions.image_list([image], (1, 42)))[0]
    assert (oldest["Containers"], oldest["VirtualSize"]) == (-1, 5)
    assert oldest["RepoTags"] == ["<none>:<none>"]


def test_info_for_older_clients() -> None:
    answer = Info(runc_commit=Commit(id="x"), firewall_backend=FirewallInfo(driver="nftables"))
    assert "FirewallBackend" in _shown(versions.info(answer, (1, 50)))
    found = _shown(versions.info(answer, (1, 48)))
    assert "FirewallBackend" not in found
    assert found["RuncCommit"] == {"ID": "x", "Expected": "x"}
    assert found["BridgeNfIptables"] is False


def test_disk_usage() -> None:
    usage = DiskUsage(
        image_usage=ImageUsage(total_size=5, items=[ImageSummary(id="a")]), container_usage=ContainerUsage()
    )
    old = _shown(versions.disk_usage(usage, (1, 51), verbose=False))
    assert old.keys() == {"LayersSize", "Images", "Containers"}
    both = _shown(versions.disk_usage(usage, (1, 52), verbose=False))
    assert both.keys() == {"LayersSize", "Images", "Containers", "ImageUsage", "ContainerUsage"}
    assert "Items" not in both["ImageUsage"]
    new = _shown(versions.disk_usage(usage, (1, 52), verbose=True))
    assert new.keys() == {"ImageUsage", "ContainerUsage"}
    assert new["ImageUsage"]["Items"][0]["Id"] == "a"
