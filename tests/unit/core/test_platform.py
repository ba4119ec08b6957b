"""Platforms and which fits where."""

from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.core.platform import Platform, host_platform, parse_platform


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("Linux/AMD64", "linux/amd64"),
        ("windows/amd64", "windows/amd64"),
    ],
)
def test_spellings(text: str, shown: str) -> None:
    assert str(parse_platform(text)) == shown


def test_one_word_is_an_operating_system_or_a_processor() -> None:
    host = host_platform()
    assert parse_platform("windows") == Platform(host.architecture, "windows", variant=host.variant)
    assert parse_platform("arm64") == Platform("arm64", host.os)


@pytest.mark.parametrize("text", ["", "linux/", "a/b/c/d", "linux/am d64", "/", "lin?x/amd64", "bogus"])
def test_refusals(text: str) -> None:
    with pytest.raises(InvalidParameter):
        parse_platform(text)


def test_older_variants_fit_newer_processors() -> None:
    v6, v7 = Platform("arm", "linux", variant="v6"), Platform("arm", "linux", variant="v7")
    assert v6.fits(v7)
    assert not v7.fits(v6)
    assert Platform("arm64", "linux", variant="v8").fits(Platform("arm64", "linux"))
    assert not Platform("amd64", "linux").fits(Platform("arm64", "linux"))
    assert not Platform("amd64", "linux").fits(Platform("amd64", "windows"))
