"""The options of local volumes, and dockerd's words about them."""

from __future__ import annotations

import msgspec
import pytest

from moby.core.errors import InvalidParameter, System
from moby.core.snapshots import Mount
from moby.volumes.local_options import LocalOptions, parse_local_options


@pytest.mark.parametrize(("options", "mount"), [
    ({"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=5"}, Mount("tmpfs", "tmpfs", ("size=1m", "uid=5"))),
    ({"type": "none", "device": "/srv", "o": "bind"}, Mount("none", "/srv", ("bind",))),
    ({"type": "nfs", "device": ":/x", "o": "addr=10.0.0.1,rw"}, Mount("nfs", ":/x", ("addr=10.0.0.1", "rw"))),
    ({"type": "nfs", "device": ":/x", "o": "addr=localhost"}, Mount("nfs", ":/x", ("addr=127.0.0.1",))),
    ({"type": "cifs", "device": "//10.0.0.1/a%20b", "o": ""}, Mount("cifs", "//10.0.0.1/a b")),
    ({"type": "ext4", "device": "/dev/x", "o": "addr=nowhere,,ro"}, Mount("ext4", "/dev/x", ("addr=nowhere", "ro"))),
])  # fmt: skip
def test_what_is_mounted(options: dict[str, str], mount: Mount) -> None:
    found = parse_local_options(options)
    assert found.mounts
    made = found.mount()
    if "addr=localhost" in options["o"]:
        assert made.options[0] in ("addr=127.0.0.1", "addr=::1")
    else:
        assert made == mount


def test_nothing_said_is_nothing_mounted() -> None:
    assert not parse_local_options({}).mounts
    assert not parse_local_options({"size": "0"}).mounts


@pytest.mark.parametrize(("options", "message"), [
    ({"x": "1"}, 'invalid option: "x"'),
    ({"Type": "tmpfs"}, 'invalid option: "Type"'),
    ({"type": "tmpfs"}, 'missing required option: "device"'),
    ({"device": "tmpfs"}, 'missing required option: "type"'),
    ({"o": "ro"}, 'missing required option: "device"'),
    ({"o": "ro", "device": "x"}, 'missing required option: "type"'),
    ({"size": "much"}, "invalid size: 'much'"),
    ({"type": "cifs", "device": "//host:445/x"}, "port not allowed in CIFS device URL, include 'port' in 'o='"),
])  # fmt: skip
def test_what_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidParameter) as error:
        parse_local_options(options)
    assert error.value.message == message


def test_a_mount_needs_a_device() -> None:
    with pytest.raises(System, match="missing device in volume options"):
        parse_local_options({"type": "tmpfs", "device": ""}).mount()


def test_a_password_is_not_repeated() -> None:
    found = parse_local_options({"type": "cifs", "device": "//h/x", "o": "username=me,password=secret,uid=1"})
    assert found.redacted() == "username=me,password=********,uid=1"


def test_a_host_that_is_not_there_is_told() -> None:
    found = parse_local_options({"type": "nfs", "device": ":/x", "o": "addr=no..such..host"})
    with pytest.raises(System, match="error resolving passed in network volume address"):
        found.mount()


def test_it_is_stored_in_dockerd_s_form() -> None:
    found = parse_local_options({"type": "tmpfs", "device": "tmpfs", "o": "size=1m"})
    document = msgspec.json.encode(found)
    assert document == (
        b'{"MountType":"tmpfs","MountOpts":"size=1m","MountDevice":"tmpfs","Quota":{"Size":0}}'
    )
    assert msgspec.json.decode(document, type=LocalOptions) == found


@pytest.mark.parametrize(("text", "size"), [
    ("0", 0), ("100", 100), ("1.5k", 1536), ("10M", 10 << 20), ("2 GiB", 2 << 30), ("1tb", 1 << 40),
])  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert parse_local_options({"size": text}).quota.size == size
