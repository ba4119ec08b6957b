"""References in the forms that docker's clients write."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moby.core.errors import InvalidParameter
from moby.core.reference import Reference, dangling_name, familiar, parse_any, parse_reference, stored_name

HEX = "a" * 64
DIGEST = f"sha256:{HEX}"


@pytest.mark.parametrize(
    ("text", "full", "short"),
    [
        ("busybox", "docker.io/library/busybox", "busybox"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("docker.io/busybox", "docker.io/library/busybox", "busybox"),
        ("index.docker.io/library/busybox", "docker.io/library/busybox", "busybox"),
        ("library/busybox", "docker.io/library/busybox", "busybox"),
        ("moby/buildkit", "docker.io/moby/buildkit", "moby/buildkit"),
        ("localhost/a", "localhost/a", "localhost/a"),
        ("localhost:5000/a:b", "localhost:5000/a:b", "localhost:5000/a:b"),
        ("ghcr.io/a/b/c", "ghcr.io/a/b/c", "ghcr.io/a/b/c"),
        ("Upper/a", "Upper/a", "Upper/a"),
        ("[::1]:5000/a", "[::1]:5000/a", "[::1]:5000/a"),
        (f"a@{DIGEST}", f"docker.io/library/a@{DIGEST}", f"a@{DIGEST}"),
        (f"a:1@{DIGEST}", f"docker.io/library/a:1@{DIGEST}", f"a:1@{DIGEST}"),
        ("docker.io/library/a/b", "docker.io/library/a/b", "library/a/b"),
    ],
)
def test_both_forms(text: str, full: str, short: str) -> None:
    reference = parse_reference(text)
    assert str(reference) == full
    assert reference.familiar == short
    assert parse_reference(full) == reference


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid reference format"),
        ("a:", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("-a", "invalid reference format"),
        ("a:b:c", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("busybox\n", "invalid reference format"),
        ("Busybox", "invalid reference format: repository name (library/Busybox) must be lowercase"),
        ("x/Y:1", "invalid reference format: repository name (x/Y) must be lowercase"),
        (HEX, f"invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings"),
        ("a/" + "b" * 300, "repository name must not be more than 255 characters"),
        ("a@sha256:" + "a" * 40, "invalid checksum digest length"),
        ("a@md5:" + "a" * 32, "unsupported digest algorithm"),
        ("a:" + "t" * 129, "invalid reference format"),
    ],
)
def test_refusals_in_dockers_words(text: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_reference(text)
    assert caught.value.message == message


def test_parts_and_changes() -> None:
    reference = parse_reference("quay.io/a/b")
    assert (reference.domain, reference.path, reference.name) == ("quay.io", "a/b", "quay.io/a/b")
    assert reference.is_name_only
    assert reference.with_default_tag().tag == "latest"
    assert reference.with_tag("x").with_default_tag().tag == "x"
    assert reference.with_digest(DIGEST).with_default_tag().tag == ""
    assert reference.with_tag("x").only_name() == reference
    with pytest.raises(InvalidParameter):
        reference.with_tag("a b")
    with pytest.raises(InvalidParameter):
        reference.with_digest("sha256:1")


def test_any_reference_may_be_an_id() -> None:
    assert parse_any(HEX) == DIGEST
    assert parse_any(DIGEST) == DIGEST
    assert isinstance(parse_any("abcd"), Reference)


def test_stored_names() -> None:
    assert stored_name("busybox") == "docker.io/library/busybox:latest"
    assert stored_name("127.0.0.1:5000/a:1") == "127.0.0.1:5000/a:1"
    assert stored_name(DIGEST) == DIGEST
    assert stored_name("NO reference") == "NO reference"


def test_what_is_no_reference_is_shown_as_it_is() -> None:
    assert familiar("docker.io/library/a:1") == "a:1"
    assert familiar("Not A Name") == "Not A Name"
    assert dangling_name(DIGEST) == f"moby-dangling@{DIGEST}"


# No dots: the familiar form of docker.io/a.b/c is that of registry a.b, which docker has as well.
_PART = st.from_regex(r"[a-z0-9]{1,8}([_-][a-z0-9]{1,8})?", fullmatch=True).filter(lambda p: p != "localhost")


@given(
    st.sampled_from(["docker.io", "localhost", "ghcr.io", "a.b:5000"]),
    st.lists(_PART, min_size=1, max_size=4),
    st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True) | st.just(""),
    st.booleans(),
)
@settings(max_examples=60)
def test_familiar_form_means_the_same(domain: str, parts: list[str], tag: str, digested: bool) -> None:
    text = f"{domain}/{'/'.join(parts)}" + (f":{tag}" if tag else "") + (f"@{DIGEST}" if digested else "")
    reference = parse_reference(text)
    assert parse_reference(reference.familiar) == reference
    assert parse_reference(str(reference)) == reference


@given(st.text(max_size=60))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        reference = parse_reference(text)
    except InvalidParameter:
        return
    assert parse_reference(str(reference)) == reference
