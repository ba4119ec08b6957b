from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.core.types.containers import (
    BindOptions,
    ImageOptions,
    Mount,
    MountDriver,
    TmpfsOptions,
    VolumeOptions,
)
from moby.engine.containers.mount_specs import (
    in_daemon_root,
    parse_anonymous,
    parse_bind,
    parse_mount,
    parse_volumes_from,
    shallow,
)


def test_host_path_is_a_bind() -> None:
    mount = parse_bind("/srv/x/:/data/../d:ro,rslave")
    point = mount.point
    assert (point.type, point.source, point.destination) == ("bind", "/srv/x", "/d")
    assert (point.rw, point.propagation, point.mode) == (False, "rslave", "ro,rslave")
    assert mount.create_source


def test_name_is_a_volume() -> None:
    mount = parse_bind("data:/data:nocopy")
    assert (mount.point.type, mount.point.name, mount.point.driver) == ("volume", "data", "")
    assert mount.no_copy
    assert not mount.anonymous


def test_a_volume_of_a_configuration_is_a_path_and_nothing_else() -> None:
    point = parse_anonymous("/a:/b").point
    assert (point.type, point.destination, point.source, point.mode) == ("volume", "/a:/b", "", "")
    with pytest.raises(InvalidParameter, match="invalid volume specification: 'rel'"):
        parse_anonymous("rel")


def test_target_alone_is_an_anonymous_volume() -> None:
    mount = parse_bind("/data")
    assert mount.anonymous
    assert mount.point.type == "volume"
    assert mount.point.destination == "/data"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        pytest.param(":/x", "invalid volume specification: ':/x'", id="no source"),
        pytest.param("/a:ro", "invalid volume specification: '/a:ro'", id="target is a mode"),
        pytest.param("/a:/b:/c:/d", "invalid volume specification: '/a:/b:/c:/d'", id="too many parts"),
        pytest.param("/a:/b:rx", "invalid mode: rx", id="unknown mode"),
        pytest.param("/a:/b:ro,rw", "invalid mode: ro,rw", id="contradiction"),
        pytest.param(
            "/a:/",
            "invalid volume specification: '/a:/': invalid mount config for type \"bind\": "
            "invalid specification: destination can't be '/'",
            id="root",
        ),
        pytest.param(
            "/a:b",
            "invalid volume specification: '/a:b': invalid mount config for type \"bind\": "
            "invalid mount path: 'b' mount path must be absolute",
            id="relative",
        ),
    ],
)
def test_bad_binds_are_refused_in_dockerd_words(raw: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_bind(raw)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        pytest.param(Mount(type="bind", source="/nowhere/at/all", target="/x"),
                     "bind source path does not exist: /nowhere/at/all", id="missing source"),
        pytest.param(Mount(type="bind", target="/x"), "field Source must not be empty", id="no source"),
        pytest.param(Mount(type="bind", source="/tmp"), "field Target must not be empty", id="no target"),
        pytest.param(Mount(type="tmpfs", source="/tmp", target="/x"), "field Source must not be specified", id="tmpfs"),
        pytest.param(Mount(type="what", target="/x"), "mount type unknown", id="type"),
        pytest.param(Mount(type="volume", target="/x", bind_options=BindOptions()),
                     "field BindOptions must not be specified", id="options of another type"),
        pytest.param(Mount(type="bind", source="/tmp", target="/x", bind_options=BindOptions(propagation="odd")),
                     "invalid propagation mode: odd", id="propagation"),
        pytest.param(Mount(type="volume", source="v", target="/x", volume_options=VolumeOptions(subpath="../y")),
                     "subpath must be a relative path within the volume", id="subpath leads out"),
    ],
)  # fmt: skip
def test_bad_mounts_are_refused_in_dockerd_words(mount: Mount, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_mount(mount)
    assert caught.value.message == f'invalid mount config for type "{mount.type}": {message}'


def test_mount_objects() -> None:
    options = VolumeOptions(no_copy=True, driver_config=MountDriver(name="fast"))
    volume = parse_mount(
        Mount(type="volume", source="v", target="/x", read_only=True, volume_options=options)
    )
    assert (volume.point.driver, volume.no_copy, volume.point.rw) == ("fast", True, False)
    tmpfs = parse_mount(
        Mount(type="tmpfs", target="/t", tmpfs_options=TmpfsOptions(size_bytes=4096, mode=0o1777))
    )
    assert tmpfs.tmpfs_options == ("mode=1777", "size=4k")


def test_a_mount_of_an_image_is_read_only() -> None:
    mount = parse_mount(
        Mount(type="image", source="busybox", target="/x", image_options=ImageOptions(subpath="etc"))
    )
    assert (mount.point.name, mount.point.rw, mount.subpath) == ("busybox", False, "etc")


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        (Mount(type="cluster", source="c", target="/x"), "mount type unknown"),
        (Mount(type="npipe", source="c", target="/x"), "mount type unknown"),
        (Mount(type="image", target="/x"), "field Source must not be empty"),
        (
            Mount(type="image", source="i", target="/x", image_options=ImageOptions(subpath="../etc")),
            "subpath must be a relative path within the volume",
        ),
        (
            Mount(type="volume", source="v", target="/x", volume_options=VolumeOptions(subpath="a/../../b")),
            "subpath must be a relative path within the volume",
        ),
        (
            Mount(type="tmpfs", target="/x", tmpfs_options=TmpfsOptions(options=[["suid"]])),
            "invalid option: suid",
        ),
        (
            Mount(type="tmpfs", target="/x", tmpfs_options=TmpfsOptions(options=[[]])),
            "invalid option array length",
        ),
    ],
)
def test_what_cannot_be_mounted(mount: Mount, message: str) -> None:
    with pytest.raises(InvalidParameter) as failure:
        parse_mount(mount)
    assert failure.value.message == f'invalid mount config for type "{mount.type}": {message}'


def test_how_a_bind_is_made_read_only() -> None:
    options = BindOptions(non_recursive=True, read_only_non_recursive=True)
    mount = parse_mount(Mount(type="bind", source="/etc", target="/x", read_only=True, bind_options=options))
    assert (mount.non_recursive, mount.shallow_read_only, mount.recursive_read_only) == (True, True, False)


def test_binds_of_old_clients_are_shallow() -> None:
    deep = BindOptions(read_only_force_recursive=True)
    mounts = shallow(
        [
            parse_bind("/etc:/a:ro"),
            parse_mount(Mount(type="bind", source="/etc", target="/b", read_only=True, bind_options=deep)),
            parse_bind("data:/c:ro"),
        ]
    )
    assert [mount.shallow_read_only for mount in mounts] == [True, False, False]


def test_a_bind_of_the_daemons_own_mounts_receives_what_is_unmounted() -> None:
    mount = parse_bind("/:/host")
    in_daemon_root(None, mount, "/var/lib/docker")
    assert (mount.point.propagation, mount.in_root) == ("rslave", True)
    mount = parse_bind("/var/lib/docker:/d:rshared")
    in_daemon_root(None, mount, "/var/lib/docker")
    assert (mount.point.propagation, mount.in_root) == ("rshared", False)
    mount = parse_bind("/srv:/srv")
    in_daemon_root(None, mount, "/var/lib/docker")
    assert mount.point.propagation == "rprivate"
    written = Mount(type="bind", source="/", target="/h", bind_options=BindOptions(propagation="rprivate"))
    with pytest.raises(InvalidParameter, match='must use either propagation mode "rslave" or "rshared"'):
        in_daemon_root(written, parse_mount(written), "/var/lib/docker")


def test_volumes_from() -> None:
    assert parse_volumes_from("web") == ("web", False)
    assert parse_volumes_from("web:ro,z") == ("web", True)
    for text in ("", "web:shared", "web:nocopy", "web:what"):
        with pytest.raises(InvalidParameter):
            parse_volumes_from(text)
