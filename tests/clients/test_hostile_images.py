"""Images made to harm the host that runs them; each test names what it is about and who was hurt by it before."""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.engine import Engine
from tests.clients.test_distribution import Layout, tar

NAME = "hostile:1"
SECRET = "a secret of the host's"


@pytest.fixture
def images(engine: Engine) -> Iterator[Engine]:
    """The engine, without the hostile image afterwards."""
    yield engine
    engine.docker("rmi", "--force", NAME)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of the host's with a secret, that must be neither read nor changed."""
    (tmp_path / "outside").mkdir(mode=0o700)
    (tmp_path / "outside/secret").write_text(SECRET)
    return tmp_path / "outside"


def special(*members: tuple[str, bytes, dict[str, object]]) -> bytes:
    """A layer of members that are no plain files: name, type, and fields of the header."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, kind, fields in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, 0o755
            for key, value in fields.items():
                setattr(info, key, value)
            archive.addfile(info)
    return data.getvalue()


def load(engine: Engine, tmp_path: Path, *layers: bytes, **config: object) -> str:
    """An image above busybox, loaded; what the engine says."""
    layout = Layout(engine, tmp_path)
    for layer in layers:
        layout.layer(layer, "gzip")
    layout.config.setdefault("config", {}).update(config)
    layout.write(tmp_path / "hostile.tar", NAME)
    result = engine.docker("load", "--input", tmp_path / "hostile.tar", timeout=120)
    return result.out + result.err


def highest(engine: Engine) -> int:
    """The most memory that the daemon has had, in MiB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{engine.pid}/status").read_text())
    assert found is not None
    return int(found[1]) >> 10


@pytest.mark.parametrize("user", ["4294967296", "18446744073709551616:0", "2147483648", "-1", "0x0"])
def test_users_that_overflow(images: Engine, tmp_path: Path, user: str) -> None:
    """CVE-2024-40635: a number too large for the kernel became root."""
    load(images, tmp_path, User=user)
    result = images.docker("run", "--rm", NAME, "id", "-u")
    assert result.code != 0
    assert result.out.strip() != "0"


@pytest.mark.parametrize("way", ["dots", "link"])
def test_volumes_that_lead_out(images: Engine, tmp_path: Path, outside: Path, way: str) -> None:
    """CVE-2022-23648: files of the host were copied into the volume of a path that leads out."""
    path = f"/../../../../../../../..{outside}" if way == "dots" else "/volume"
    layer = special(("volume", tarfile.SYMTYPE, {"linkname": f"/../../../../../../../..{outside}"}))
    load(images, tmp_path, layer, Volumes={path: {}})
    result = images.docker("run", "--rm", NAME, "find", "/", "-name", "secret", "-path", "*outside*")
    assert "secret" not in result.out
    assert (
        SECRET
        not in images.docker("run", "--rm", NAME, "sh", "-c", f"cat {outside}/secret /volume/secret").out
    )
    assert [path.name for path in outside.iterdir()] == ["secret"]


@pytest.mark.parametrize("kind", ["fifo", "link", "device"])
@pytest.mark.parametrize("name", ["passwd", "group"])
def test_lists_of_users_that_are_none(
    images: Engine, tmp_path: Path, outside: Path, name: str, kind: str
) -> None:
    """CVE-2024-9676 and its like: the engine hung on a FIFO, or read what a link means on the host."""
    (outside / "secret").write_text("hostile:x:0:0::/:/bin/sh\n" if name == "passwd" else "hostile:x:0:\n")
    fields: dict[str, tuple[bytes, dict[str, object]]] = {
        "fifo": (tarfile.FIFOTYPE, {}),
        "link": (tarfile.SYMTYPE, {"linkname": f"/../../../../../..{outside}/secret"}),
        "device": (tarfile.CHRTYPE, {"devmajor": 1, "devminor": 5}),
    }
    load(images, tmp_path, special((f"etc/{name}", *fields[kind])))
    result = images.docker(
        "run", "--rm", "--user", "hostile" if name == "passwd" else "1:hostile", NAME, "id", timeout=30
    )
    assert result.code != 0
    assert "uid=0" not in result.out


def test_working_directories_through_descriptors(images: Engine, tmp_path: Path, outside: Path) -> None:
    """CVE-2024-21626: a descriptor that the runtime had left open led to the host."""
    for number in range(6, 10):
        load(images, tmp_path, WorkingDir=f"/proc/self/fd/{number}")
        result = images.docker("run", "--rm", NAME, "cat", f"../../../../../../../..{outside}/secret")
        assert SECRET not in result.out


def test_layers_that_lead_out(images: Engine, tmp_path: Path, outside: Path) -> None:
    """CVE-2021-32760: modes were changed through links; and what a link leads to was replaced."""
    away = f"../../../../../../../../../../../..{outside}"
    load(
        images,
        tmp_path,
        special(
            ("way", tarfile.SYMTYPE, {"linkname": away}),
            ("way", tarfile.LNKTYPE, {"linkname": "way", "mode": 0o777}),
            ("way/.wh.secret", tarfile.REGTYPE, {}),
            ("way/new", tarfile.DIRTYPE, {}),
            ("hard", tarfile.LNKTYPE, {"linkname": "way/secret", "mode": 0o777}),
        ),
    )
    assert outside.stat().st_mode & 0o777 == 0o700
    assert (outside / "secret").read_text() == SECRET
    assert [path.name for path in outside.iterdir()] == ["secret"]


def test_labels_taken_as_orders(images: Engine, tmp_path: Path, outside: Path) -> None:
    """What an image says of itself configures no runtime: only a user's annotations reach one."""
    labels = {
        "run.oci.handler": "krun",
        "run.oci.hooks.stdout": f"{outside}/written",
        "run.oci.seccomp_bpf_data": "AAAA",
        "org.criu.config": f"{outside}/criu.conf",
        "io.kubernetes.cri.container-type": "sandbox",
        "containerd.io/restart.loguri": f"file://{outside}/written",
        "cdi.k8s.io/x": "nobody.example/device=all",
    }
    load(images, tmp_path, Labels=labels)
    identifier = images.ok("run", "--detach", NAME, "sleep", "60").strip()
    try:
        spec = next(images.root.glob(f"exec/**/{identifier}/config.json"))
        annotations = json.loads(spec.read_text()).get("annotations") or {}
        assert not labels.items() & annotations.items()
        assert "Seccomp:\t2" in images.ok("exec", identifier, "grep", "Seccomp:", "/proc/1/status")
    finally:
        images.ok("rm", "--force", identifier)
    assert [path.name for path in outside.iterdir()] == ["secret"]


@pytest.mark.parametrize("runtime", ["crun", "runc"])
def test_the_runtime_as_the_program(images: Engine, tmp_path: Path, runtime: str) -> None:
    """CVE-2019-5736: a program that was the host's runtime itself was written to from inside."""
    program = shutil.which(runtime)
    if program is None:
        pytest.skip(f"needs {runtime}")
    before = Path(program).read_bytes()
    layer = special(("program", tarfile.SYMTYPE, {"linkname": "/proc/self/exe"}))
    load(images, tmp_path, layer, Entrypoint=["/program"], Cmd=["--version"])
    images.docker("run", "--rm", "--runtime", runtime, NAME, timeout=60)
    write = "for p in /proc/[0-9]*/exe; do case $(readlink $p) in *run*) echo x >> $p;; esac; done; true"
    identifier = images.ok(
        "run",
        "--detach",
        "--runtime",
        runtime,
        "--entrypoint",
        "sh",
        NAME,
        "-c",
        f"while {write}; do :; done",
    ).strip()
    try:
        for _ in range(5):
            images.docker("exec", identifier, "/program", "--version")
            images.docker("exec", identifier, "sh", "-c", write)
    finally:
        images.ok("rm", "--force", identifier)
    assert Path(program).read_bytes() == before


@pytest.mark.parametrize("where", ["dev/null", "dev", "proc", "sys", "etc/hosts", "etc/resolv.conf"])
def test_masks_and_mounts_through_links(images: Engine, tmp_path: Path, outside: Path, where: str) -> None:
    """CVE-2025-31133, -52565, -52881: what hides files of the kernel was bound to where an image's links led."""
    away = f"../../../../../../../../../..{outside}"
    link = special((where, tarfile.SYMTYPE, {"linkname": f"{away}/secret" if "/" in where else away}))
    load(images, tmp_path, link)
    masked = "cat /proc/kcore /proc/keys /proc/timer_list | head -c 10 | wc -c; echo x >> /proc/sys/kernel/domainname"
    result = images.docker("run", "--rm", NAME, "sh", "-c", masked, timeout=60)
    assert result.code != 0
    if result.out:
        assert result.out.split() == ["0"]
    assert (outside / "secret").read_text() == SECRET
    assert [path.name for path in outside.iterdir()] == ["secret"]


def test_padding_without_end(images: Engine, tmp_path: Path) -> None:
    """CVE-2017-14992: gigabytes of zeros after a layer's end filled the memory."""
    before = highest(images)
    assert "goes on for" in load(images, tmp_path, tar({"a": b"b"}) + bytes(300 << 20))
    assert images.docker("run", "--rm", NAME, "true").code != 0
    assert highest(images) - before < 100


def test_imports_are_not_read_into_memory(images: Engine, tmp_path: Path) -> None:
    """CVE-2023-25153: what was imported was kept in memory whole."""
    before = highest(images)
    with gzip.open(tmp_path / "bomb.tar.gz", "wb", compresslevel=1) as file:
        info = tarfile.TarInfo("zeros")
        info.size = 300 << 20
        file.write(info.tobuf())
        for _ in range(300):
            file.write(bytes(1 << 20))
        file.write(bytes(1024))
    images.ok("import", tmp_path / "bomb.tar.gz", NAME, timeout=120)
    assert highest(images) - before < 100
