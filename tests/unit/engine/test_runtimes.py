from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from moby.core.errors import InvalidParameter, NotFound
from moby.engine import runtimes
from moby.engine.config import EngineConfig, RuntimeEntry
from moby.engine.runtimes import check_runtimes, default_runtime, oci_runtimes


def settings(root: Path, **entries: RuntimeEntry) -> EngineConfig:
    return EngineConfig(data_root=str(root / "data"), exec_root=str(root / "exec"), runtimes=entries)


def test_runtimes_by_path_and_by_type(tmp_path: Path) -> None:
    config = settings(
        tmp_path,
        mine=RuntimeEntry(path="/opt/mine"),
        vm=RuntimeEntry(runtime_type="io.containerd.kata.v2"),
        named=RuntimeEntry(runtime_type="io.containerd.runc.v2", options={"BinaryName": "/opt/named"}),
    )
    check_runtimes(config)
    found = oci_runtimes(config)
    assert (found["mine"].name, found["mine"].binary) == ("io.containerd.runc.v2", "/opt/mine")
    assert (found["vm"].name, found["vm"].binary) == ("io.containerd.kata.v2", "")
    assert found["named"].binary == "/opt/named"


def test_a_runtimes_own_arguments_come_first(tmp_path: Path) -> None:
    entry = RuntimeEntry(path="/bin/echo", runtime_args=("--debug", "a b"))
    found = oci_runtimes(settings(tmp_path, loud=entry))["loud"]
    # Nothing may be run from /run on some machines.
    assert found.binary == str(tmp_path / "data" / "runtimes" / "loud")
    assert subprocess.check_output([found.binary, "create", "c d"], text=True) == "--debug a b create c d\n"


@pytest.mark.parametrize(
    ("name", "entry", "message"),
    [
        ("runc", RuntimeEntry(path="/x"), "runtime name 'runc' is reserved"),
        ("x", RuntimeEntry(), "runtime x: either a runtimeType or a path must be configured"),
        ("x", RuntimeEntry(path="/x", runtime_type="a.b.v2"),
         "runtime x: cannot configure both path and runtimeType for the same runtime"),
        ("x", RuntimeEntry(path="/x", options={"a": 1}), "runtime x: options cannot be used with a path runtime"),
        ("x", RuntimeEntry(runtime_type="a.b.v2", runtime_args=("y",)),
         "runtime x: args cannot be used with a runtimeType runtime"),
    ],
)  # fmt: skip
def test_entries_that_contradict_themselves(
    tmp_path: Path, name: str, entry: RuntimeEntry, message: str
) -> None:
    with pytest.raises(InvalidParameter) as failure:
        check_runtimes(settings(tmp_path, **{name: entry}))
    assert failure.value.message == message


def test_the_default_may_be_a_shim_of_others(tmp_path: Path) -> None:
    config = EngineConfig(exec_root=str(tmp_path), default_runtime="io.containerd.runc.v2")
    assert default_runtime(config, {}) == "io.containerd.runc.v2"


def test_what_is_found_is_run_by_monitors_as_long_as_sockets_have_room(tmp_path: Path) -> None:
    found = oci_runtimes(EngineConfig(data_root=str(tmp_path), exec_root="/r"))
    assert found
    for shim in found.values():
        assert shim.own
        assert shim.name == f"{tmp_path}/shims/containerd-shim-moby-v1"
    for shim in oci_runtimes(EngineConfig(exec_root="/" + "r" * 100)).values():
        assert (shim.own, shim.name) == (False, "io.containerd.runc.v2")


def test_the_usual_one_has_dockerds_name_and_says_which_program_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = EngineConfig(data_root=str(tmp_path), exec_root="/r")
    for program in ("crun", "runc"):
        monkeypatch.setattr(runtimes, "usual_program", lambda program=program: program)
        found = oci_runtimes(config)
        assert default_runtime(config, found) == "runc"
        if path := shutil.which(program):
            assert (found["runc"].binary, found["runc"].root) == (path, f"/r/runtime-{program}")
    monkeypatch.setattr(runtimes, "usual_program", lambda: "")
    with pytest.raises(NotFound, match="no OCI runtime found"):
        default_runtime(config, {})


def test_the_default_has_to_be_there(tmp_path: Path) -> None:
    config = EngineConfig(exec_root=str(tmp_path), default_runtime="none-such")
    with pytest.raises(InvalidParameter, match="specified default runtime 'none-such' does not exist"):
        default_runtime(config, {})
