"""AWS as moto emulates it: snapshots by blocks, images, machines."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from moby.core.errors import Conflict, InvalidParameter, NotFound, System
from moby.core.platform import Platform
from moby.machine.clouds import aws
from moby.machine.clouds.orders import Request

boto3 = pytest.importorskip("boto3")
moto = pytest.importorskip("moto")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
AMD64, S390 = Platform("amd64", "linux"), Platform("s390x", "linux")
REGION = "eu-central-1"


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with moto.mock_aws():
        yield


@pytest.fixture
def ec2() -> Any:
    return boto3.client("ec2", region_name=REGION)


@pytest.fixture
def request_of(tmp_path: Path) -> Request:
    """A disk of five blocks and a bit: the first, the fourth and the last have something in them."""
    disk = tmp_path / "web.raw"
    with disk.open("wb") as file:
        file.write(b"boot")
        file.seek(3 * aws.BLOCK + 5)
        file.write(b"data")
        file.seek(5 * aws.BLOCK)
        file.write(b"end")
    return Request("aws", "web", file=disk, options={"region": REGION})


def images(ec2: Any) -> list[dict[str, Any]]:
    return list(ec2.describe_images(Owners=["self"])["Images"])


def snapshots(ec2: Any) -> list[str]:
    return [each["SnapshotId"] for each in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Every call to AWS: moto keeps not all of what it is told."""
    found: list[tuple[str, dict[str, Any]]] = []
    ask = aws._Account.ask

    async def noted(self: aws._Account, function: Any, **arguments: Any) -> Any:
        found.append((getattr(function, "__name__", ""), arguments))
        return await ask(self, function, **arguments)

    monkeypatch.setattr(aws._Account, "ask", noted)
    return found


async def test_a_disk_becomes_an_image_and_what_is_empty_is_not_sent(
    request_of: Request, ec2: Any, asked: list[tuple[str, dict[str, Any]]]
) -> None:
    told: list[str] = []
    image = await aws.push(request_of, AMD64, told.append)
    (found,) = images(ec2)
    assert found["ImageId"] == image
    assert found["Name"] == "web"
    registered = dict(asked)["register_image"]
    assert (registered["Architecture"], registered["BootMode"]) == ("x86_64", "legacy-bios")
    snapshot = registered["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert snapshot in snapshots(ec2)
    ebs = boto3.client("ebs", region_name=REGION)
    sent = ebs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]
    sent.sort(key=lambda block: block["BlockIndex"])
    assert [block["BlockIndex"] for block in sent] == [0, 3, 5]
    last = ebs.get_snapshot_block(SnapshotId=snapshot, BlockIndex=5, BlockToken=sent[2]["BlockToken"])
    assert last["BlockData"].read() == b"end".ljust(aws.BLOCK, b"\0")
    assert told[-1] == "3 blocks of 512 KiB"


async def test_an_image_of_that_name_is_replaced_only_by_force(
    request_of: Request, ec2: Any, asked: list[tuple[str, dict[str, Any]]]
) -> None:
    first = await aws.push(request_of, AMD64, lambda _step: None)
    before = set(snapshots(ec2))
    with pytest.raises(Conflict, match=f"web already: {first}"):
        await aws.push(request_of, AMD64, lambda _step: None)
    assert set(snapshots(ec2)) == before
    (old,) = images(ec2)
    second = await aws.push(replace(request_of, force=True), AMD64, lambda _step: None)
    assert [image["ImageId"] for image in images(ec2)] == [second]
    gone = old["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert asked[-1] == ("delete_snapshot", {"SnapshotId": gone})


async def test_what_fails_leaves_no_snapshot(
    request_of: Request, ec2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(snapshots(ec2))

    async def broken(*_given: object) -> int:
        raise System("the network is gone")

    monkeypatch.setattr(aws, "_send", broken)
    with pytest.raises(System, match="network is gone"):
        await aws.push(request_of, AMD64, lambda _step: None)
    assert set(snapshots(ec2)) == before
    assert images(ec2) == []


async def test_a_machine_is_started_of_an_image_by_its_name(
    request_of: Request, ec2: Any, tmp_path: Path
) -> None:
    image = await aws.push(request_of, AMD64, lambda _step: None)
    (tmp_path / "data").write_bytes(b'{"a": 1}')
    asked = Request("aws", "web", data=tmp_path / "data", options={"region": REGION, "type": "t3.small"})
    instance = (await aws.run(asked, lambda _step: None)).split()[0]
    found = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    assert (found["ImageId"], found["InstanceType"], found["State"]["Name"]) == (image, "t3.small", "running")
    assert found["Tags"] == [{"Key": "Name", "Value": "web"}]
    data = ec2.describe_instance_attribute(InstanceId=instance, Attribute="userData")["UserData"]["Value"]
    assert base64.b64decode(data) == b'{"a": 1}'


async def test_what_is_wrong_is_told(request_of: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="no image none"):
        await aws.run(Request("aws", "none", options={"region": REGION}), lambda _step: None)
    wrong = Request("aws", "ami-12345678", options={"region": REGION, "subnet": "subnet-0"})
    with pytest.raises(NotFound, match=r"AWS: .*subnet-0"):
        await aws.run(wrong, lambda _step: None)
    with pytest.raises(InvalidParameter, match="no machines for linux/s390x"):
        await aws.push(request_of, S390, lambda _step: None)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.delenv("AWS_REGION", raising=False)
    with pytest.raises(InvalidParameter, match="region"):
        await aws.run(Request("aws", "web"), lambda _step: None)


async def test_without_the_package_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        raise ImportError

    monkeypatch.setattr(aws, "import_module", missing)
    with pytest.raises(NotFound, match="boto3") as caught:
        await aws.run(Request("aws", "web"), lambda _step: None)
    assert caught.value.hint == "pip install 'moby-origin[aws]'"
