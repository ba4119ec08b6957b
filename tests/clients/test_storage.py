"""Binds, volumes and temporary file systems."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.clients.engine import Engine
from tests.leftovers import mounts


def test_a_bind_shows_the_hosts_files_both_ways(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("from the host")
    out = engine.ok(
        "run", "--rm", "-v", f"{tmp_path}:/data", "busybox", "sh", "-c", "cat /data/in; echo back > /data/out"
    )
    assert out == "from the host"
    assert (tmp_path / "out").read_text() == "back\n"


def test_a_bind_of_a_single_file(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from the host")
    assert (
        engine.ok("run", "--rm", "-v", f"{tmp_path}/file:/etc/motd:ro", "busybox", "cat", "/etc/motd")
        == "from the host"
    )


def test_a_read_only_bind_refuses_writing(engine: Engine, tmp_path: Path) -> None:
    result = engine.docker("run", "--rm", "-v", f"{tmp_path}:/data:ro", "busybox", "touch", "/data/x")
    assert result.code == 1
    assert "Read-only file system" in result.err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_source_of_an_old_style_bind_is_made(engine: Engine, tmp_path: Path) -> None:
    engine.ok("run", "--rm", "-v", f"{tmp_path}/new:/data", "busybox", "touch", "/data/x")
    assert (tmp_path / "new" / "x").exists()


def test_a_named_volume_outlives_its_containers(engine: Engine) -> None:
    engine.ok("volume", "create", "kept")
    engine.ok("run", "--rm", "-v", "kept:/data", "busybox", "sh", "-c", "echo here > /data/file")
    assert engine.ok("run", "--rm", "-v", "kept:/data", "busybox", "cat", "/data/file") == "here"
    assert engine.ok("volume", "ls", "-q") == "kept"
    assert "local" in engine.ok("volume", "inspect", "kept")


def test_a_volume_starts_with_what_the_image_has_there(engine: Engine) -> None:
    assert engine.ok("run", "--rm", "-v", "filled:/etc", "busybox", "cat", "/etc/nsswitch.conf").startswith(
        "passwd"
    )
    assert "nsswitch.conf" in engine.ok("run", "--rm", "-v", "filled:/data", "busybox", "ls", "/data")


def test_a_volume_in_use_is_not_removed(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "user", "-v", "used:/data", "busybox", "sleep", "60")
    assert "volume is in use" in engine.fails("volume", "rm", "used")
    assert engine.ok("volume", "ls", "-q") == "used"


def test_mounts_of_another_container_are_taken_over(engine: Engine) -> None:
    engine.ok("create", "--name", "source", "-v", "/shared", "busybox")
    engine.ok("run", "--rm", "--volumes-from", "source", "busybox", "sh", "-c", "echo x > /shared/file")
    assert engine.ok("run", "--rm", "--volumes-from", "source", "busybox", "cat", "/shared/file") == "x"


def test_tmpfs_is_memory_and_gone_afterwards(engine: Engine) -> None:
    out = engine.ok("run", "--rm", "--tmpfs", "/fast:size=1m", "busybox", "grep", " /fast ", "/proc/mounts")
    assert out.startswith("tmpfs /fast tmpfs")
    assert "size=1024k" in out


def test_mount_syntax(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert engine.ok(
        "run", "--rm", "--mount", f"type=bind,source={tmp_path},target=/data,readonly", "busybox", "cat", "/data/file"
    ) == "x"  # fmt: skip
    engine.ok("run", "--rm", "--mount", "type=volume,source=vol,target=/data", "busybox", "touch", "/data/x")
    assert engine.ok("volume", "ls", "-q") == "vol"


def test_a_bind_is_private_to_the_container_by_default(engine: Engine, tmp_path: Path) -> None:
    fields = engine.ok(
        "run", "--rm", "-v", f"{tmp_path}:/data", "busybox", "grep", " /data ", "/proc/self/mountinfo"
    )
    assert "shared:" not in fields


def test_what_was_mounted_for_a_volume_goes_with_its_last_user_after_a_restart_too(
    make_engine: Callable[..., Engine],
) -> None:
    engine = make_engine()
    engine.ok("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "fast")
    for name in ("one", "two"):
        engine.ok("run", "-d", "--name", name, "-v", "fast:/fast", "busybox", "sleep", "600")
    place = engine.ok("volume", "inspect", "-f", "{{.Mountpoint}}", "fast")
    engine.ok("exec", "one", "touch", "/fast/file")
    engine.kill()
    engine.start()
    engine.ok("rm", "-f", "one")
    assert engine.ok("exec", "two", "ls", "/fast") == "file"
    assert mounts(place)
    engine.ok("rm", "-f", "two")
    assert not mounts(place)
    engine.ok("volume", "rm", "fast")


def test_a_volume_that_cannot_be_mounted_yet_hinders_the_start_alone(engine: Engine) -> None:
    options = ("-o", "type=ext4", "-o", "device=/dev/nosuch")
    engine.ok("volume", "create", *options, "away")
    engine.ok("create", "--name", "waiting", "-v", "away:/nowhere", "busybox", "true")
    said = engine.fails("start", "waiting", code=1)
    assert "failed to mount local volume: mount /dev/nosuch:" in said
    assert engine.ok("inspect", "--format", "{{.State.Status}}", "waiting") == "created"
    # What the image has there is copied, which needs the volume.
    assert "failed to mount" in engine.fails("create", "-v", "away:/etc", "busybox", "true", code=1)
    engine.ok("rm", "waiting")
    engine.ok("volume", "rm", "away")
