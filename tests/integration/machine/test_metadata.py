"""The metadata component's image, run against servers that answer as clouds do."""

from __future__ import annotations

import asyncio
import base64
import gzip
import http.server
import io
import json
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from moby.core.platform import host_platform
from moby.core.reference import parse_reference
from moby.machine.cache import ImageCache, default_cache
from moby.machine.components import Library
from moby.machine.image_roots import image_tree
from moby.machine.streams import tar_stream

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.boots,
    pytest.mark.skipif(os.geteuid() != 0, reason="another root and host name take root"),
]

USERDATA = json.dumps(
    {
        "ssh": {"entries": {"sshd_config": {"perm": "0600", "content": "PermitRootLogin yes\n"}}},
        "plain": {"content": "whole"},
        "deep": {"perm": "0700", "entries": {"down": {"entries": {"file": {"content": "bottom ü"}}}}},
        "both": {"content": "x", "entries": {}},
        "../escaped": {"content": "x"},
    }
)


@dataclass
class Cloud:
    """What is answered at which path, with which header; and what was asked."""

    paths: dict[str, str]
    needs: tuple[str, str] | None = None
    token: str = ""
    asked: list[str] = field(default_factory=list)
    posted: list[str] = field(default_factory=list)


@contextmanager
def serving(cloud: Cloud) -> Iterator[str]:
    """The cloud's address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_arguments: object) -> None: ...

        def answer(self, status: int, text: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def do_GET(self) -> None:
            cloud.asked.append(self.path)
            name, value = cloud.needs or ("", "")
            if name and self.headers.get(name) != value and not self.path.startswith("/machine"):
                self.answer(403)
            elif self.path in cloud.paths:
                self.answer(200, cloud.paths[self.path])
            else:
                self.answer(404)

        def do_PUT(self) -> None:
            self.answer(200 if cloud.token else 405, cloud.token)

        def do_POST(self) -> None:
            cloud.posted.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.answer(200)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The component's files."""
    cache = ImageCache(default_cache())
    cache.prepare()
    target = asyncio.run(Library(cache, host_platform()).image(parse_reference("moby/metadata"), None))
    data = b"".join(tar_stream(image_tree(cache, cache.image(target, host_platform()))))
    root = tmp_path_factory.mktemp("metadata")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.extractall(root, filter="fully_trusted")
    (root / "dev").mkdir(exist_ok=True)
    os.mknod(root / "dev/null", 0o666 | 0o020000, os.makedev(1, 3))
    (root / "tmp").mkdir(exist_ok=True)
    return root


class Machine:
    """One start of the component."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "run/config"
        subprocess.run(["rm", "-rf", self.config], check=True)

    def run(self, *providers: str, **environment: str) -> str:
        done = subprocess.run(
            ["unshare", "--uts", "/usr/sbin/chroot", self.root, "/bin/sh", "-c",
             '/usr/bin/metadata "$@" && hostname', "-", *providers],
            env={"PATH": "/opt:/usr/bin:/bin", **environment},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def read(self, name: str) -> str:
        return (self.config / name).read_text()


@pytest.fixture
def machine(image: Path) -> Machine:
    return Machine(image)


EC2 = {
    "/latest/meta-data/hostname": "ip-10-0-0-1",
    "/latest/meta-data/public-ipv4": "1.2.3.4",
    "/latest/meta-data/placement/availability-zone": "eu-1a",
    "/latest/meta-data/instance-id": "i-123",
    "/latest/meta-data/public-keys/0/openssh-key": "ssh-ed25519 AAAA one",
    "/latest/user-data": USERDATA,
}


def test_aws_is_asked_with_a_token(machine: Machine) -> None:
    cloud = Cloud(EC2, needs=("X-aws-ec2-metadata-token", "secret=="), token="secret==")
    with serving(cloud) as address:
        said = machine.run(METADATA_ADDRESS=address)
    assert said.splitlines()[-1] == "ip-10-0-0-1"
    assert machine.read("provider") == "AWS"
    assert machine.read("public_ipv4") == "1.2.3.4"
    assert machine.read("availability_zone") == "eu-1a"
    assert machine.read("instance_id") == "i-123"
    assert not (machine.config / "instance_type").exists()
    assert machine.read("ssh/authorized_keys") == "ssh-ed25519 AAAA one"
    assert (machine.config / "ssh/authorized_keys").stat().st_mode & 0o777 == 0o600


def test_user_data_is_unfolded(machine: Machine) -> None:
    with serving(Cloud(EC2)) as address:
        said = machine.run("aws", METADATA_ADDRESS=address)
    assert machine.read("userdata") == USERDATA
    assert machine.read("ssh/sshd_config") == "PermitRootLogin yes\n"
    assert (machine.config / "ssh/sshd_config").stat().st_mode & 0o777 == 0o600
    assert machine.read("plain") == "whole"
    assert machine.read("deep/down/file") == "bottom ü"
    assert (machine.config / "deep").stat().st_mode & 0o777 == 0o700
    assert "both is invalid" in said
    assert "../escaped is invalid" in said
    assert not (machine.config.parent / "escaped").exists()


@pytest.mark.parametrize("data", ["#!/bin/sh\necho hello\n", "[1, 2]", '"text"', "{", '{"a": 1}', ""])
def test_other_user_data_stays_as_it_is(machine: Machine, data: str) -> None:
    with serving(Cloud({**EC2, "/latest/user-data": data})) as address:
        machine.run("aws", METADATA_ADDRESS=address)
    assert machine.read("userdata") == data


def test_openstack_is_known_from_aws(machine: Machine) -> None:
    with serving(Cloud({**EC2, "/openstack/latest/meta_data.json": "{}"})) as address:
        machine.run(METADATA_ADDRESS=address)
    assert machine.read("provider") == "openstack"
    assert machine.read("ssh/authorized_keys") == "ssh-ed25519 AAAA one"


def test_hetzner(machine: Machine) -> None:
    paths = {
        "/hetzner/v1/metadata/hostname": "web",
        "/latest/meta-data/hostname": "web",
        "/latest/meta-data/local-ipv4": "10.0.0.2",
        "/latest/meta-data/public-keys": '["ssh-ed25519 A a", "ssh-rsa B b"]',
        "/latest/user-data": "text",
    }
    with serving(Cloud(paths)) as address:
        machine.run(METADATA_ADDRESS=address)
    assert machine.read("provider") == "Hetzner"
    assert machine.read("local_ipv4") == "10.0.0.2"
    assert machine.read("ssh/authorized_keys") == "ssh-ed25519 A a\nssh-rsa B b\n"


@pytest.mark.parametrize(("blocked", "keys"), [("", "ssh-rsa I i\nssh-rsa P p\n"), ("TRUE", "ssh-rsa I i\n")])
def test_gcp(machine: Machine, blocked: str, keys: str) -> None:
    below = "/computeMetadata/v1"
    paths = {
        f"{below}/instance/hostname": "vm.c.project.internal",
        f"{below}/instance/attributes/ssh-keys": "me:ssh-rsa I i",
        f"{below}/project/attributes/ssh-keys": "you:ssh-rsa P p\nnonsense",
        f"{below}/instance/attributes/user-data": USERDATA,
    }
    if blocked:
        paths[f"{below}/instance/attributes/block-project-ssh-keys"] = blocked
    with serving(Cloud(paths, needs=("Metadata-Flavor", "Google"))) as address:
        said = machine.run(METADATA_ADDRESS=address)
    assert said.splitlines()[-1] == "vm.c.project.internal"
    assert machine.read("provider") == "GCP"
    assert machine.read("ssh/authorized_keys") == keys
    assert machine.read("plain") == "whole"


def test_azure_hears_that_the_machine_is_ready(machine: Machine) -> None:
    instance = {
        "compute": {
            "name": "vm", "vmId": "11-22", "vmSize": "Standard_B1s", "location": "westeurope",
            "osProfile": {"computerName": "box"},
            "publicKeys": [{"keyData": "ssh-rsa A\r\n", "path": "x"}],
        },
        "network": {"interface": [{"ipv4": {"ipAddress": [{"privateIpAddress": "10.0.0.4", "publicIpAddress": ""}]}}]},
    }  # fmt: skip
    goal = (
        "<GoalState><Incarnation>7</Incarnation><Container><ContainerId>c-1</ContainerId><RoleInstanceList>"
        "<RoleInstance><InstanceId>i-1</InstanceId></RoleInstance></RoleInstanceList></Container></GoalState>"
    )
    paths = {
        "/metadata/instance?api-version=2021-02-01": json.dumps(instance),
        "/metadata/instance/compute/userData?api-version=2021-01-01&format=text": base64.b64encode(
            USERDATA.encode()
        ).decode(),
        "/machine/?comp=goalstate": goal,
    }
    cloud = Cloud(paths, needs=("Metadata", "true"))
    with serving(cloud) as address:
        machine.run(METADATA_ADDRESS=address)
    assert machine.read("provider") == "Azure"
    assert machine.read("hostname") == "box"
    assert machine.read("local_ipv4") == "10.0.0.4"
    assert machine.read("ssh/authorized_keys").strip() == "ssh-rsa A"
    assert machine.read("plain") == "whole"
    assert len(cloud.posted) == 1
    for part in ("<GoalStateIncarnation>7<", "<ContainerId>c-1<", "<InstanceId>i-1<", "<State>Ready<"):
        assert part in cloud.posted[0]


def test_digitalocean(machine: Machine) -> None:
    paths = {
        "/metadata/v1/hostname": "droplet", "/metadata/v1/region": "ams3", "/metadata/v1/id": "42",
        "/metadata/v1/public-keys": "ssh-rsa D d", "/metadata/v1/user-data": USERDATA,
    }  # fmt: skip
    with serving(Cloud(paths)) as address:
        machine.run(METADATA_ADDRESS=address)
    assert machine.read("provider") == "DigitalOcean"
    assert machine.read("region") == "ams3"
    assert machine.read("ssh/authorized_keys") == "ssh-rsa D d"


def test_vultr(machine: Machine) -> None:
    paths = {"/v1/hostname": "v", "/v1/region/regioncode": "FRA", "/v1/public-keys": "ssh-rsa V v"}
    with serving(Cloud(paths)) as address:
        machine.run(METADATA_ADDRESS=address)
    assert machine.read("provider") == "Vultr"
    assert machine.read("region_code") == "FRA"


def test_scaleway(machine: Machine) -> None:
    conf = "ID=s-1\nHOSTNAME=scw\nLOCATION_ZONE_ID=par1\nPRIVATE_IP=10.1.1.1\nSSH_PUBLIC_KEYS=1\nSSH_PUBLIC_KEYS_0_KEY='ssh-rsa S s'\n"
    with serving(Cloud({"/conf": conf, "/user_data/cloud-init": USERDATA})) as address:
        machine.run(METADATA_ADDRESS=address)
    assert machine.read("provider") == "Scaleway"
    assert machine.read("instance_id") == "s-1"
    assert machine.read("ssh/authorized_keys") == "ssh-rsa S s\n"
    assert machine.read("plain") == "whole"


@pytest.mark.parametrize("encoding", ["", "base64", "gzip+base64"])
def test_vmware_is_asked_through_its_own_tool(machine: Machine, encoding: str) -> None:
    data = USERDATA.encode()
    if encoding.startswith("gzip"):
        data = gzip.compress(data)
    text = base64.b64encode(data).decode() if encoding else USERDATA
    opt = machine.root / "opt"
    opt.mkdir(exist_ok=True)
    (opt / "vendor").write_text("VMware, Inc.\n")
    (opt / "userdata").write_text(text)
    tool = opt / "vmware-rpctool"
    tool.write_text(
        '#!/bin/sh\ncase "$1" in\n"info-get guestinfo.userdata") exec cat /opt/userdata ;;\n'
        f'"info-get guestinfo.userdata.encoding") echo {encoding} ;;\n'
        '"info-get guestinfo.metadata") echo "instance-id: vm-7"; echo "local-hostname: sphere" ;;\n*) exit 1 ;;\nesac\n'
    )
    tool.chmod(0o755)
    machine.run("vmware", METADATA_VENDOR="/opt/vendor")
    assert machine.read("provider") == "VMWARE"
    assert machine.read("hostname") == "sphere"
    assert machine.read("instance_id") == "vm-7"
    assert machine.read("plain") == "whole"


def test_a_file_is_a_provider(machine: Machine) -> None:
    (machine.root / "tmp/data").write_text(USERDATA)
    machine.run("file=/tmp/data")
    assert machine.read("provider") == "/tmp/data"
    assert machine.read("plain") == "whole"


def test_without_anybody_nothing_is_written(machine: Machine) -> None:
    with serving(Cloud({})) as address:
        said = machine.run(METADATA_ADDRESS=address)
    assert "nobody tells anything" in said
    assert list(machine.config.iterdir()) == []


def test_an_unknown_provider_is_refused(machine: Machine) -> None:
    with pytest.raises(AssertionError, match="unknown provider wrong"):
        machine.run("wrong")
