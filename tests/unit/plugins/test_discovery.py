"""Where plugins are looked for, and what the files say that describe them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from moby.core.errors import System
from moby.plugins.discovery import Discovery, Found, TlsOptions


@pytest.fixture
def discovery(tmp_path: Path) -> Discovery:
    """One for sockets in `run` and files in `etc` and `lib`."""
    for name in ("run", "etc", "lib"):
        (tmp_path / name).mkdir()
    return Discovery(tmp_path / "run", [tmp_path / "etc", tmp_path / "lib"])


def bind(path: Path) -> str:
    """Makes a socket that nobody listens on; its address."""
    path.parent.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
    return f"unix://{path}"


def test_sockets_are_found_in_both_layouts(discovery: Discovery, tmp_path: Path) -> None:
    plain, nested = bind(tmp_path / "run/one.sock"), bind(tmp_path / "run/two/two.sock")
    assert discovery.find("one") == Found("one", plain)
    assert discovery.find("two") == Found("two", nested)
    assert discovery.find("three") is None
    assert discovery.names() == ["one", "two"]


def test_a_file_that_is_no_socket_is_none(discovery: Discovery, tmp_path: Path) -> None:
    (tmp_path / "run/one.sock").touch()
    assert discovery.find("one") is None
    assert discovery.names() == []


def test_a_spec_holds_an_address(discovery: Discovery, tmp_path: Path) -> None:
    (tmp_path / "lib/far.spec").write_text("tcp://10.0.0.1:80\n")
    found = discovery.find("far")
    assert found == Found("far", "tcp://10.0.0.1:80", TlsOptions(insecure_skip_verify=True))
    assert discovery.names() == ["far"]
    (tmp_path / "lib/far.spec").write_text("10.0.0.1")
    with pytest.raises(System, match="Unknown protocol"):
        discovery.find("far")


def test_a_description_says_whom_to_trust(discovery: Discovery, tmp_path: Path) -> None:
    text = '{"Name": "x", "Addr": "https://host", "TLSConfig": {"CAFile": "/ca", "CertFile": "/c", "KeyFile": "/k"}}'
    (tmp_path / "etc/far").mkdir()
    (tmp_path / "etc/far/far.json").write_text(text)
    assert discovery.find("far") == Found("far", "https://host", TlsOptions("/ca", "/c", "/k"))
    assert discovery.names() == ["far"]


@pytest.mark.parametrize(("tls", "blind"), [("", False), (', "TLSConfig": {}', True)])
def test_without_an_authority_only_who_asks_for_tls_is_blind(
    discovery: Discovery, tmp_path: Path, tls: str, blind: bool
) -> None:
    (tmp_path / "etc/far.json").write_text('{"Addr": "https://host"' + tls + "}")
    found = discovery.find("far")
    assert found is not None
    assert found.tls.insecure_skip_verify == blind


def test_what_is_no_json_is_said(discovery: Discovery, tmp_path: Path) -> None:
    (tmp_path / "etc/far.json").write_text("{")
    with pytest.raises(System, match=r"far\.json"):
        discovery.find("far")


@pytest.mark.parametrize("name", ["", ".", "..", "../etc/far", "a/b"])
def test_names_that_lead_elsewhere_are_nobodys(discovery: Discovery, tmp_path: Path, name: str) -> None:
    (tmp_path / "etc/far.spec").write_text("tcp://host")
    assert discovery.find(name) is None


def test_directories_need_not_be_there(tmp_path: Path) -> None:
    assert Discovery(tmp_path / "none", [tmp_path / "neither"]).names() == []
