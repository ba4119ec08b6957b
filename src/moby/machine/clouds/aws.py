"""This file is about AWS: a disk becomes a snapshot block by block (EBS direct APIs), and that an image.

Neither a bucket nor a role for imports is needed, and what is empty is not sent.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from moby.core.errors import Conflict, Forbidden, InvalidParameter, MobyError, NotFound, System
from moby.core.platform import Platform
from moby.core.undo import Undo
from moby.host.files import translation
from moby.host.threads import blocking
from moby.machine.clouds.orders import Request

Tell = Callable[[str], None]

BLOCK = 512 << 10
_GIB = 1 << 30
# Blocks on their way at one time.
_SENT = 8
_EMPTY = bytes(BLOCK)
_ARCHITECTURES = {"amd64": "x86_64", "arm64": "arm64"}
_DEVICE = "/dev/xvda"


class _Account:
    """Clients of an account's services."""

    def __init__(self, request: Request) -> None:
        try:
            boto3 = import_module("boto3")
        except ImportError as error:
            raise NotFound("AWS needs the package boto3", hint="pip install 'moby-origin[aws]'") from error
        with _translated():
            session = boto3.Session(
                profile_name=request.option("profile") or None, region_name=request.option("region") or None
            )
            self.ec2: Any = session.client("ec2")
            self.ebs: Any = session.client("ebs")

    async def ask(self, function: Callable[..., Any], **arguments: Any) -> Any:
        """One call, in a thread. Raises MobyError."""

        def call() -> Any:
            with _translated():
                return function(**arguments)

        return await blocking(call)


class _translated:  # noqa: N801  a block, as contextlib's
    """In this block botocore's errors become ours."""

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or not type(error).__module__.startswith(("botocore", "boto3")):
            return
        code = getattr(error, "response", {}).get("Error", {}).get("Code", "")
        words = f"AWS: {error}"
        if type(error).__name__ in ("NoCredentialsError", "NoRegionError", "ProfileNotFound"):
            raise InvalidParameter(words, hint="aws configure, or AWS_PROFILE and AWS_REGION") from error
        if "NotFound" in code:
            raise NotFound(words) from error
        if code in ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "AuthFailure"):
            raise Forbidden(words) from error
        raise System(words) from error


async def push(request: Request, platform: Platform, tell: Tell) -> str:
    """Make an image of a disk; its ID. Raises MobyError; what fails or is cancelled leaves no snapshot."""
    path = request.file
    if path is None:
        raise InvalidParameter("there is no disk to push")
    architecture = _ARCHITECTURES.get(platform.architecture)
    if architecture is None:
        raise InvalidParameter(f"AWS has no machines for {platform}")
    account = await blocking(_Account, request)
    before = await _images(account, request.name)
    if before and not request.force:
        raise Conflict(f"there is an image {request.name} already: {before[0]['ImageId']}", hint="--force")
    with translation(f"cannot read {path}"):
        size = path.stat().st_size
    gigabytes = max(1, -(-size // _GIB))
    async with Undo() as undo:
        started = await account.ask(
            account.ebs.start_snapshot,
            VolumeSize=gigabytes,
            Description=request.name,
            Tags=_tags(request.name),
        )
        snapshot = started["SnapshotId"]
        undo.push(_delete_snapshot, account, snapshot)
        tell(f"snapshot {snapshot}")
        count = await _send(account, snapshot, path)
        await account.ask(account.ebs.complete_snapshot, SnapshotId=snapshot, ChangedBlocksCount=count)
        tell(f"{count} blocks of {BLOCK >> 10} KiB")
        await account.ask(account.ec2.get_waiter("snapshot_completed").wait, SnapshotIds=[snapshot])
        for image in before:
            await account.ask(account.ec2.deregister_image, ImageId=image["ImageId"])
        registered = await account.ask(
            account.ec2.register_image,
            Name=request.name,
            Architecture=architecture,
            RootDeviceName=_DEVICE,
            BlockDeviceMappings=[
                {"DeviceName": _DEVICE, "Ebs": {"SnapshotId": snapshot, "DeleteOnTermination": True}}
            ],
            VirtualizationType="hvm",
            EnaSupport=True,
            BootMode=request.option("boot", "legacy-bios" if architecture == "x86_64" else "uefi"),
            ImdsSupport="v2.0",
        )
        undo.keep()
    for image in before:
        await _forget_snapshots(account, image, tell)
    return str(registered["ImageId"])


async def _delete_snapshot(account: _Account, snapshot: str) -> None:
    await account.ask(account.ec2.delete_snapshot, SnapshotId=snapshot)


def _tags(name: str) -> list[dict[str, str]]:
    return [{"Key": "Name", "Value": name}]


async def _images(account: _Account, name: str) -> list[dict[str, Any]]:
    filters = [{"Name": "name", "Values": [name]}]
    found = await account.ask(account.ec2.describe_images, Owners=["self"], Filters=filters)
    return list(found["Images"])


async def _forget_snapshots(account: _Account, image: dict[str, Any], tell: Tell) -> None:
    for mapping in image.get("BlockDeviceMappings", []):
        snapshot = mapping.get("Ebs", {}).get("SnapshotId")
        if snapshot:
            try:
                await _delete_snapshot(account, snapshot)
            except MobyError as error:
                tell(f"the old snapshot {snapshot} stays: {error.message}")


def blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """Each block of a disk that is not empty, with its number; the last is filled up. Raises OSError."""
    with path.open("rb") as disk:
        number = 0
        while data := disk.read(BLOCK):
            data = data.ljust(BLOCK, b"\0")
            if data != _EMPTY:
                yield number, data
            number += 1


async def _send(account: _Account, snapshot: str, path: Path) -> int:
    """Send every block; how many there were."""
    count = 0
    room = asyncio.Semaphore(_SENT)
    source = blocks(path)
    async with asyncio.TaskGroup() as group:
        while True:
            await room.acquire()
            with translation(f"cannot read {path}"):
                found = await blocking(next, source, None)
            if found is None:
                return count
            count += 1
            group.create_task(_send_block(account, snapshot, *found, room))
    raise AssertionError("the last block returns")


async def _send_block(
    account: _Account, snapshot: str, number: int, data: bytes, room: asyncio.Semaphore
) -> None:
    try:
        await account.ask(
            account.ebs.put_snapshot_block,
            SnapshotId=snapshot,
            BlockIndex=number,
            BlockData=data,
            DataLength=BLOCK,
            Checksum=base64.b64encode(hashlib.sha256(data).digest()).decode(),
            ChecksumAlgorithm="SHA256",
        )
    finally:
        room.release()


async def run(request: Request, tell: Tell) -> str:
    """Start a machine of an image, known by name or ID; the machine's ID and addresses. Raises MobyError."""
    account = await blocking(_Account, request)
    image = request.name
    if not image.startswith("ami-"):
        found = await _images(account, image)
        if not found:
            raise NotFound(f"there is no image {image} of yours")
        image = found[0]["ImageId"]
    arguments: dict[str, Any] = {
        "ImageId": image,
        "InstanceType": request.option("type", "t3.micro"),
        "MinCount": 1,
        "MaxCount": 1,
        "MetadataOptions": {"HttpTokens": "required"},
        "TagSpecifications": [{"ResourceType": "instance", "Tags": _tags(request.name)}],
    }
    if request.data is not None:
        with translation(f"cannot read {request.data}"):
            arguments["UserData"] = request.data.read_bytes()
    for option, name in (("subnet", "SubnetId"), ("key", "KeyName")):
        if request.option(option):
            arguments[name] = request.option(option)
    if request.option("security-group"):
        arguments["SecurityGroupIds"] = [request.option("security-group")]
    instance = (await account.ask(account.ec2.run_instances, **arguments))["Instances"][0]["InstanceId"]
    tell(f"instance {instance}")
    await account.ask(account.ec2.get_waiter("instance_running").wait, InstanceIds=[instance])
    told = await account.ask(account.ec2.describe_instances, InstanceIds=[instance])
    state = told["Reservations"][0]["Instances"][0]
    addresses = [state.get("PublicIpAddress"), state.get("PrivateIpAddress")]
    return " ".join([instance, *(address for address in addresses if address)])
