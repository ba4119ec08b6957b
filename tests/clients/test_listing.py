"""`docker ps` and its filters, as dockerd has them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.conftest import KIND
from tests.clients.engine import Engine


@pytest.fixture(scope="module")
def three(shared: Engine) -> Iterator[Engine]:
    """Three containers: one that runs, one that has failed, one that was only made."""
    engine = shared
    engine.ok("run", "-d", "--name", "runs", "-l", "k=v", "-l", "only", "-p", "18090:80", "--expose", "90/udp",
              "--network", "bridge", "busybox", "sleep", "600")  # fmt: skip
    assert (
        engine.docker("run", "--name", "failed", "-l", "k=w", "--network", "none", "busybox", "false").code
        == 1
    )
    engine.ok("create", "--name", "made", "-v", "vol:/v", "busybox", "sh", "-c", "echo a b")
    yield engine
    engine.ok("rm", "-f", "-v", "runs", "failed", "made")
    engine.ok("volume", "rm", "vol")


def names(engine: Engine, *filters: str, every: bool = True) -> list[str]:
    """Whom the filters let through, the newest first."""
    options = [word for one in filters for word in ("--filter", one)]
    return engine.ok("ps", *(["-a"] if every else []), *options, "--format", "{{.Names}}").split()


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], "made failed runs"),
        (["name=runs"], "runs"),
        (["name=^runs$"], "runs"),
        (["name=^/runs$"], "runs"),
        (["name=/r"], "runs"),
        (["name=^un"], ""),
        (["name=runs", "name=made"], "made runs"),
        (["name=["], ""),
        (["status=exited"], "failed"),
        (["status=created", "status=running"], "made runs"),
        (["exited=1"], "failed"),
        (["exited=0"], ""),
        (["label=k"], "failed runs"),
        (["label=k=v"], "runs"),
        (["label=k", "label=only"], "runs"),
        (["label=none"], ""),
        (["ancestor=busybox"], "made failed runs"),
        (["ancestor=busybox:latest"], "made failed runs"),
        (["ancestor=nothing"], ""),
        (["before=failed"], "runs"),
        (["since=failed"], "made"),
        (["volume=vol"], "made"),
        (["volume=/v"], "made"),
        (["volume=other"], ""),
        (["network=none"], "failed"),
        (["network=nothing"], ""),
        (["publish=18090"], "runs"),
        (["publish=18090/tcp"], "runs"),
        (["publish=18080-18100/tcp"], "runs"),
        (["publish=80"], ""),
        (["publish=18090/udp"], ""),
        (["expose=80"], "runs"),
        (["expose=90/udp"], "runs"),
        (["expose=90"], ""),
        (["expose=90/udp", "publish=1"], "runs"),
        (["health=none"], "made failed runs"),
        (["health=healthy"], ""),
        (["isolation=process"], "made failed runs"),
        (["is-task=true"], ""),
        (["is-task=false"], "made failed runs"),
        (["status=exited", "label=k=v"], ""),
    ],
)
def test_filters(three: Engine, filters: list[str], expected: str) -> None:
    assert names(three, *filters) == expected.split()


def test_what_does_not_run_is_shown_if_asked_for(three: Engine) -> None:
    assert names(three, every=False) == ["runs"]
    # A status that only others have is asked for.
    assert names(three, "status=created", every=False) == ["made"]
    assert three.ok("ps", "-n", "2", "--format", "{{.Names}}").split() == ["made", "failed"]
    assert three.ok("ps", "-l", "--format", "{{.Names}}").split() == ["made"]
    assert three.ok("ps", "-aq", "--no-trunc").count("\n") == 2


@pytest.mark.parametrize(
    "wrong",
    ["status=bad", "exited=x", "health=bad", "publish=x", "publish=80/none:1", "expose=99999", "bad=1",
     "before=nothing", "since=nothing", "is-task=maybe", "label!=k"],
)  # fmt: skip
def test_wrong_filters(three: Engine, wrong: str) -> None:
    if KIND == "dockerd" and wrong == "is-task=maybe":
        pytest.skip("20.10 takes it")
    three.fails("ps", "-a", "--filter", wrong)


def test_what_is_shown(three: Engine) -> None:
    shown = "{{.Names}}|{{.Image}}|{{.Command}}|{{.Status}}|{{.State}}|{{.Ports}}|{{.Mounts}}|{{.Networks}}|{{.Labels}}|{{.LocalVolumes}}"
    lines = dict(
        line.split("|", 1) for line in three.ok("ps", "-a", "--no-trunc", "--format", shown).splitlines()
    )
    assert lines["made"] == "busybox|\"sh -c 'echo a b'\"|Created|created||vol|bridge||1"
    assert lines["failed"].startswith('busybox|"false"|Exited (1) ')
    ports = lines["runs"].split("|")[4]
    assert "0.0.0.0:18090->80/tcp" in ports
    assert "90/udp" in ports
    assert "B (virtual " in three.ok("ps", "-as", "--filter", "name=made", "--format", "{{.Size}}")
