"""`--mount` of every type, its options, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from moby.host.quotas import supported
from tests.clients.conftest import KIND
from tests.clients.engine import Engine

ours_only = pytest.mark.skipif(KIND == "dockerd", reason="newer than 20.10")


def run(engine: Engine, *mounts: str, script: str) -> str:
    options = [word for mount in mounts for word in ("--mount", mount)]
    return engine.ok("run", "--rm", *options, "busybox", "sh", "-c", script)


def refused(engine: Engine, mount: str, code: int = 1) -> str:
    return engine.fails("create", "--mount", mount, "busybox", code=code)


def mounts(engine: Engine, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(engine.ok("inspect", "-f", "{{json .Mounts}}", name))
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    """A directory with another file system mounted in it, below `sub`."""
    place = tmp_path / "tree"
    (place / "sub").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", place / "sub"], check=True)
    (place / "sub/inner").write_text("x")
    yield place
    subprocess.run(["umount", "--lazy", place / "sub"], check=True)


@pytest.fixture
def shared_tree(tmp_path: Path) -> Iterator[Path]:
    """A directory that passes on what is mounted below it."""
    place = tmp_path / "shared"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", place], check=True)
    subprocess.run(["mount", "--make-shared", place], check=True)
    (place / "below").mkdir()
    yield place
    subprocess.run(["umount", "--lazy", "--recursive", place], check=True)


# binds


def test_a_bind_takes_along_what_is_mounted_below(engine: Engine, tree: Path) -> None:
    assert run(engine, f"type=bind,source={tree},target=/x", script="cat /x/sub/inner") == "x"


@ours_only
@pytest.mark.docker28
def test_a_bind_of_one_file_system_alone(engine: Engine, tree: Path) -> None:
    assert run(engine, f"type=bind,source={tree},target=/x,bind-recursive=disabled", script="ls /x/sub") == ""


@ours_only
@pytest.mark.docker28
def test_read_only_goes_all_the_way_down(engine: Engine, tree: Path) -> None:
    probe = "touch /x/new 2>/dev/null && echo top; touch /x/sub/new 2>/dev/null && echo below; true"
    assert run(engine, f"type=bind,source={tree},target=/x,readonly", script=probe) == ""
    assert (
        run(engine, f"type=bind,source={tree},target=/x,readonly,bind-recursive=writable", script=probe)
        == "below"
    )
    forced = f"type=bind,source={tree},target=/x,readonly,bind-recursive=readonly,bind-propagation=rprivate"
    assert run(engine, forced, script=probe) == ""
    assert engine.ok("run", "--rm", "-v", f"{tree}:/x:ro", "busybox", "sh", "-c", probe) == ""


def test_what_is_mounted_later_comes_in_if_asked(engine: Engine, shared_tree: Path) -> None:
    name = engine.ok(
        "run", "-d", "--mount", f"type=bind,source={shared_tree},target=/x,bind-propagation=rslave",
        "--mount", f"type=bind,source={shared_tree},target=/p", "busybox", "sleep", "60",
    )  # fmt: skip
    subprocess.run(["mount", "-t", "tmpfs", "none", shared_tree / "below"], check=True)
    (shared_tree / "below/late").touch()
    assert engine.ok("exec", name, "ls", "/x/below") == "late"
    assert engine.ok("exec", name, "ls", "/p/below") == ""
    engine.ok("rm", "-f", name)


def test_propagation_has_to_be_possible(engine: Engine, tree: Path) -> None:
    subprocess.run(["mount", "--make-private", tree / "sub"], check=True)
    for asked, words in (("shared", "a shared mount"), ("slave", "a shared or slave mount")):
        option = f"type=bind,source={tree}/sub,target=/x,bind-propagation={asked}"
        message = engine.fails("run", "--mount", option, "busybox", code=125)
        assert f"path {tree}/sub is mounted on {tree}/sub but it is not {words}" in message


def test_the_daemons_own_directories(engine: Engine) -> None:
    name = engine.ok("create", "-v", "/:/host:ro", "busybox")
    assert mounts(engine, name)[0]["Propagation"] == "rslave"
    message = refused(engine, f"type=bind,source={engine.root}/data,target=/x,bind-propagation=private")
    assert (
        'must use either propagation mode "rslave" or "rshared" when mount source is within the daemon root'
        in message
    )


@ours_only
def test_a_missing_source_is_made_if_asked(engine: Engine, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert f"bind source path does not exist: {missing}" in refused(
        engine, f"type=bind,source={missing},target=/x"
    )
    with engine.client() as client:
        mount = {
            "Type": "bind",
            "Source": str(missing),
            "Target": "/x",
            "BindOptions": {"CreateMountpoint": True},
        }
        api = client.api
        made = api.create_container("busybox", ["true"], host_config={"Mounts": [mount]})
        api.start(made["Id"])
        assert api.wait(made["Id"])["StatusCode"] == 0
    assert missing.is_dir()


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        ("type=bind,target=/x", "field Source must not be empty"),
        ("type=bind,source=/etc,target=/", "invalid specification: destination can't be '/'"),
        ("type=bind,source=etc,target=/x", "mount path must be absolute"),
        ("type=bind,source=/etc,target=x", "mount path must be absolute"),
        ("type=tmpfs,source=/etc,target=/x", "field Source must not be specified"),
    ],
)
def test_what_is_no_mount(engine: Engine, mount: str, message: str) -> None:
    result = engine.docker("create", "--mount", mount, "busybox")
    assert result.code != 0
    assert message in result.err


@ours_only
def test_a_cluster_has_its_own_volumes(engine: Engine) -> None:
    message = refused(engine, "type=cluster,source=c,target=/x")
    assert 'invalid mount config for type "cluster": mount type unknown' in message


def test_one_target_one_mount(engine: Engine) -> None:
    message = engine.fails("create", "-v", "one:/x", "--mount", "type=volume,source=two,target=/x", "busybox")
    assert "Duplicate mount point: /x" in message


# volumes


def test_a_volume_with_labels_and_options(engine: Engine) -> None:
    option = (
        "type=volume,source=described,target=/x,volume-label=a=b,volume-driver=local,"
        "volume-opt=type=tmpfs,volume-opt=device=tmpfs,volume-opt=o=size=2m"
    )
    assert "size=2048k" in run(engine, option, script="grep ' /x ' /proc/mounts")
    found = json.loads(engine.ok("volume", "inspect", "described"))[0]
    assert (found["Labels"], found["Options"]["o"]) == ({"a": "b"}, "size=2m")


def test_a_volume_is_not_filled_if_not_asked(engine: Engine) -> None:
    assert run(engine, "type=volume,source=empty,target=/etc/x,volume-nocopy", script="ls /etc/x") == ""
    assert (
        run(engine, "type=volume,source=bare,target=/home,volume-nocopy", script="ls -a /home | wc -l") == "2"
    )


def test_a_read_only_volume(engine: Engine) -> None:
    result = engine.docker(
        "run", "--rm", "--mount", "type=volume,source=fixed,target=/x,readonly", "busybox", "touch", "/x/y"
    )
    assert "Read-only file system" in result.err


@ours_only
@pytest.mark.docker28
def test_a_part_of_a_volume(engine: Engine) -> None:
    run(engine, "type=volume,source=whole,target=/x", script="mkdir -p /x/a/b; echo deep > /x/a/b/c")
    assert (
        run(
            engine,
            "type=volume,source=whole,target=/y,volume-subpath=a/b",
            script="cat /y/c; echo more > /y/d",
        )
        == "deep"
    )
    assert run(engine, "type=volume,source=whole,target=/f,volume-subpath=a/b/d", script="cat /f") == "more"
    message = engine.fails(
        "run",
        "--pull",
        "never",
        "--mount",
        "type=volume,source=whole,target=/y,volume-subpath=no",
        "busybox",
        code=127,
    )
    assert "cannot access path" in message
    run(engine, "type=volume,source=whole,target=/x", script="ln -s b /x/a/in; ln -s / /x/a/out")
    assert run(engine, "type=volume,source=whole,target=/y,volume-subpath=a/in", script="cat /y/c") == "deep"
    out = ("--mount", "type=volume,source=whole,target=/y,volume-subpath=a/out", "busybox")
    message = engine.fails("run", "--pull", "never", *out, code=125)
    assert "path concatenation escapes the base directory" in message
    assert "must not set Subpath when using anonymous volumes" in refused(
        engine, "type=volume,target=/y,volume-subpath=a"
    )


@pytest.mark.docker28
def test_what_is_mounted_for_the_start_is_gone_after_it(engine: Engine) -> None:
    if KIND == "dockerd":
        pytest.skip("about our own directories")
    run(engine, "type=volume,source=tidy,target=/x", script="mkdir /x/a")
    name = engine.ok(
        "run", "-d", "--ipc", "shareable", "--mount", "type=volume,source=tidy,target=/y,volume-subpath=a",
        "--mount", "type=image,source=busybox,target=/i", "busybox", "sleep", "60",
    )  # fmt: skip
    places = engine.root / "exec/places"
    assert os.listdir(places / name) == ["shm"]
    engine.ok("rm", "-f", name)
    assert os.listdir(places) == []


def test_mounts_of_others_in_their_modes(engine: Engine, tmp_path: Path) -> None:
    source = engine.ok("create", "-v", "lent:/a", "-v", f"{tmp_path}:/b:ro", "busybox")
    engine.ok("run", "--rm", "--volumes-from", source, "busybox", "touch", "/a/x")
    result = engine.docker("run", "--rm", "--volumes-from", f"{source}:ro", "busybox", "touch", "/a/y")
    assert "Read-only file system" in result.err
    # What is read-only there stays so.
    result = engine.docker("run", "--rm", "--volumes-from", f"{source}:rw", "busybox", "touch", "/b/y")
    assert "Read-only file system" in result.err
    assert "invalid mode: shared" in engine.fails("create", "--volumes-from", f"{source}:shared", "busybox")
    assert "No such container: nobody" in engine.fails("create", "--volumes-from", "nobody", "busybox")


# tmpfs


def test_tmpfs_options(engine: Engine) -> None:
    line = run(
        engine,
        "type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770",
        script="grep ' /t ' /proc/mounts; ls -ld /t",
    )
    assert "size=1024k" in line
    assert all(word in line.split()[3] for word in ("nosuid", "nodev", "noexec"))
    assert "drwxrwx--T" in line
    assert "Read-only" in engine.docker(
        "run", "--rm", "--mount", "type=tmpfs,target=/t,readonly", "busybox", "touch", "/t/x"
    ).err  # fmt: skip
    found = engine.ok(
        "run", "--rm", "--tmpfs", "/t:exec,size=65536,uid=5", "busybox", "grep", " /t ", "/proc/mounts"
    )
    assert "noexec" not in found
    assert "uid=5" in found
    assert "tmpfs option" in engine.fails("run", "--tmpfs", "/t:colour=red", "busybox", code=125)
    assert "mount path must be absolute" in engine.fails("create", "--tmpfs", "t", "busybox")


# images


@ours_only
@pytest.mark.docker28
def test_an_image_is_mounted_read_only(engine: Engine) -> None:
    assert "busybox" in run(engine, "type=image,source=busybox,target=/i", script="ls /i/bin")
    script = "touch /i/x 2>&1; true"
    assert "Read-only file system" in run(engine, "type=image,source=busybox,target=/i", script=script)
    assert "passwd" in run(engine, "type=image,source=busybox,target=/i,image-subpath=etc", script="ls /i")
    name = engine.ok("create", "--mount", "type=image,source=busybox,target=/i", "busybox")
    found = mounts(engine, name)[0]
    assert (found["Type"], found["Name"], found["Destination"], found["RW"]) == (
        "image",
        "busybox",
        "/i",
        False,
    )
    for option, words in (
        ("type=image,target=/i", "field Source must not be empty"),
        (
            "type=image,source=busybox,target=/i,image-subpath=../x",
            "subpath must be a relative path within the volume",
        ),
    ):
        assert words in refused(engine, option)


@ours_only
@pytest.mark.docker28
def test_a_mounted_image_stays_while_its_container_does(engine: Engine) -> None:
    name = engine.ok(
        "create", "--mount", "type=image,source=busybox,target=/i", "busybox", "ls", "/i/bin/busybox"
    )
    assert engine.ok("start", "-a", name) == "/i/bin/busybox"
    assert engine.ok("start", "-a", name) == "/i/bin/busybox"
    engine.ok("rm", name)


def test_a_volumes_size_needs_a_file_system_with_quotas(engine: Engine) -> None:
    """What Moby Origin's disk has, and that of most hosts has not."""
    if supported(engine.root):
        pytest.skip("the file system of the tests has quotas")
    said = engine.fails("volume", "create", "-o", "size=10m", "limited")
    assert "quota size requested but no quota support" in said
    assert "invalid size" in engine.fails("volume", "create", "-o", "size=much", "limited")
    assert engine.ok("volume", "ls", "-q") == ""
