"""Where to ask for what a registry keeps, as `hosts.toml` says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from moby.core.errors import System
from moby.images.registry.endpoints import endpoints, tls_context
from moby.images.registry.hosts_files import hosts_file
from moby.images.registry.settings import RegistryConfig


def write(root: Path, name: str, text: str) -> Path:
    (root / name).mkdir()
    (root / name / "hosts.toml").write_text(text)
    return root / name


def test_places_are_asked_in_the_order_of_the_file(tmp_path: Path) -> None:
    directory = write(
        tmp_path,
        "ghcr.io",
        """
        server = "https://ghcr.io"
        [host."https://first.example:8443"]
          capabilities = ["pull", "resolve"]
          ca = "ca.pem"
          client = [["c.pem", "c.key"], "both.pem"]
          skip_verify = true
          [host."https://first.example:8443".header]
            x-one = ["1", "2"]
        [host."http://127.0.0.1:5000/v2/cache"]
          override_path = true
          capabilities = ["pull"]
        """,
    )
    first, second, own = endpoints("ghcr.io", RegistryConfig(certs_dir=str(tmp_path)))
    assert (first.api, second.api, own.api) == (
        "https://first.example:8443/v2", "http://127.0.0.1:5000/v2/cache", "https://ghcr.io/v2",
    )  # fmt: skip
    assert (first.mirror, second.mirror, own.mirror) == (True, True, False)
    assert (first.verify, own.verify, first.insecure, second.insecure) == (False, True, False, True)
    assert first.authorities == (directory / "ca.pem",)
    assert first.clients == ((directory / "c.pem", directory / "c.key"), (directory / "both.pem",) * 2)
    assert first.headers == (("x-one", "1, 2"),)
    assert (second.capabilities, own.capabilities) == (("pull",), ("pull", "resolve", "push"))
    with pytest.raises(System, match=r"cannot use .*ca\.pem"):
        tls_context(first, str(tmp_path))


def test_a_place_that_is_the_registry_itself_says_how_it_is_spoken_to(tmp_path: Path) -> None:
    write(tmp_path, "r.example:5000", '[host."https://r.example:5000"]\nskip_verify = true\n')
    (own,) = endpoints("r.example:5000", RegistryConfig(certs_dir=str(tmp_path)))
    assert (own.url, own.verify, own.mirror) == ("https://r.example:5000", False, False)


def test_names_of_directories(tmp_path: Path) -> None:
    write(tmp_path, "_default", 'server = "https://all.example"')
    write(tmp_path, "r.example_5000_", 'server = "https://one.example/v2"')
    config = RegistryConfig(certs_dir=str(tmp_path), registry_mirrors=("https://m.example",))
    assert [each.api for each in endpoints("r.example:5000", config)] == ["https://one.example/v2"]
    assert [each.api for each in endpoints("other.example", config)] == ["https://all.example/v2"]
    assert [each.url for each in endpoints("docker.io", config)] == [
        "https://m.example",
        "https://all.example",
    ]
    assert hosts_file("x", str(tmp_path / "missing")) is None


def test_places_in_a_file_take_the_place_of_mirrors_on_the_command_line(tmp_path: Path) -> None:
    write(tmp_path, "docker.io", '[host."https://file.example"]')
    config = RegistryConfig(certs_dir=str(tmp_path), registry_mirrors=("https://flag.example",))
    assert [each.url for each in endpoints("docker.io", config)] == [
        "https://file.example",
        "https://registry-1.docker.io",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "no toml", "server = 1", 'surprise = "x"', '[host."https://x"]\ncapabilities = ["fly"]',
        '[host."ftp://x"]', '[host."https://u:p@x"]', '[host."https://"]', '[host."https://x"]\ndial_timeout = "1s"',
    ],
)  # fmt: skip
def test_bad_files_are_named(tmp_path: Path, text: str) -> None:
    write(tmp_path, "ghcr.io", text)
    with pytest.raises(System, match=r"ghcr\.io/hosts\.toml"):
        endpoints("ghcr.io", RegistryConfig(certs_dir=str(tmp_path)))
