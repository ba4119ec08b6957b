"""What a test may need of the machine, found once: a developer's machine may lack it, CI must not."""

from __future__ import annotations

import compileall
import faulthandler
import functools
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import hypothesis
import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"


def pytest_configure() -> None:
    """Compiles the sources: where `PYTHONDONTWRITEBYTECODE` is set every daemon would, for half of its start.

    No test of hypothesis has a limit of time.
    """
    compileall.compile_dir(SOURCE, quiet=2)
    # A machine on which others work as well is no mistake of ours.
    hypothesis.settings.register_profile("moby", deadline=None)
    hypothesis.settings.load_profile("moby")


def _root() -> str:
    return "" if os.geteuid() == 0 else "needs root"


def _commands(*names: str) -> str:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [name for name in names if shutil.which(name, path=path) is None]
    return f"needs {', '.join(missing)}" if missing else ""


def _containerd() -> str:
    return _root() or _commands("containerd", "runc")


def _kernel() -> str:
    return _root() or _commands("ip", "nft")


def _registry() -> str:
    return _commands("docker-registry")


def _clients() -> str:
    return _containerd() or _kernel() or _registry() or _commands("docker")


def _docker28() -> str:
    said = subprocess.run(["docker", "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\d+)\.", said)
    return (
        "" if found and int(found[1]) >= 28 else f"needs a docker command of version 28, found {said.strip()}"
    )


def _compose() -> str:
    folders = ("/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec")
    plugins = (Path(folder) / "docker/cli-plugins/docker-compose" for folder in folders)
    return (
        "" if any(plugin.exists() for plugin in plugins) else "needs the plugin compose of the docker command"
    )


def _boots() -> str:
    return _commands("qemu-system-x86_64", "apt-get", "dpkg-deb", "depmod")


def _peers() -> str:
    return _registry() or _commands("skopeo", "umoci", "setpriv")


NEEDS: Mapping[str, Callable[[], str]] = {
    "containerd": _containerd,
    "kernel": _kernel,
    "registry": _registry,
    "clients": _clients,
    "compose": _compose,
    "docker28": _docker28,
    "boots": _boots,
    "peers": _peers,
}
# Whoever requires the one requires the other too.
PART_OF: Mapping[str, str] = {"compose": "clients"}


@functools.cache
def lacking(need: str) -> str:
    """Why the machine cannot meet the need, or nothing."""
    return NEEDS[need]()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips what the machine cannot run; fails it where `MOBY_REQUIRE` says that the machine must be able to."""
    if item.get_closest_marker("timeout"):
        # One with a limit of its own is not stuck when others would be.
        faulthandler.cancel_dump_traceback_later()
    required = set(os.environ.get("MOBY_REQUIRE", "").split(","))
    for need in NEEDS:
        if item.get_closest_marker(need) and (reason := lacking(need)):
            for name in {need, PART_OF.get(need, need)} & required:
                pytest.fail(f"{reason}, and MOBY_REQUIRE names {name}", pytrace=False)
            pytest.skip(reason)
