"""Manifests, indexes and configurations, right and wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moby.core.descriptor import OCI_INDEX, OCI_MANIFEST, Descriptor
from moby.core.errors import InvalidParameter
from moby.core.platform import Platform
from moby.images.documents import choose, gc_labels, read_document, read_image

D = "sha256:" + "a" * 64
CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": D, "size": 1}


def encoded(**fields: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, **fields}).encode()


def test_manifest_and_index() -> None:
    manifest = read_document(encoded(config=CONFIG, layers=[CONFIG]), OCI_MANIFEST)
    assert not manifest.is_index
    assert gc_labels(manifest) == {
        "containerd.io/gc.ref.content.config": D,
        "containerd.io/gc.ref.content.l.0": D,
    }
    index = read_document(encoded(manifests=[CONFIG], annotations=None), OCI_INDEX)
    assert index.is_index
    assert gc_labels(index) == {"containerd.io/gc.ref.content.m.0": D}


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        pytest.param(b"", "", id="empty"),
        pytest.param(b"[" * 100_000, "", id="deep"),
        pytest.param(b"\xff", "", id="no text"),
        pytest.param(encoded(config=CONFIG, manifests=[CONFIG]), OCI_MANIFEST, id="both"),
        pytest.param(encoded(layers=[CONFIG], manifests=[CONFIG]), OCI_INDEX, id="both without config"),
        pytest.param(encoded(manifests=[]), OCI_MANIFEST, id="index as manifest"),
        pytest.param(encoded(config=CONFIG), OCI_INDEX, id="manifest as index"),
        pytest.param(encoded(mediaType=OCI_INDEX, manifests=[]), OCI_MANIFEST, id="other type inside"),
        pytest.param(encoded(config={**CONFIG, "digest": "sha256:../../x"}), OCI_MANIFEST, id="digest"),
        pytest.param(encoded(config={**CONFIG, "size": -1}), OCI_MANIFEST, id="size"),
        pytest.param(encoded(config=CONFIG, layers=[CONFIG] * 600), OCI_MANIFEST, id="layers"),
        pytest.param(encoded(manifests=[]), "text/html", id="type"),
        pytest.param(b'{"schemaVersion": 1, "fsLayers": []}', "", id="schema 1"),
        pytest.param(b" " * (5 << 20), "", id="large"),
    ],
)
def test_refusals(data: bytes, kind: str) -> None:
    """CVE-2021-41190: what was a manifest and an index at once was one to some and the other to others."""
    with pytest.raises(InvalidParameter):
        read_document(data, kind)


def test_configuration_with_nulls() -> None:
    image = read_image(
        b'{"architecture":"amd64","os":"linux","config":{"Cmd":null,"Env":["A=1"],"Labels":null},'
        b'"rootfs":{"type":"layers","diff_ids":["' + D.encode() + b'"]},"history":null}'
    )
    assert (image.config.env, image.config.cmd, image.chain) == (["A=1"], [], D)
    for bad in (b"[]", b'{"rootfs":{"diff_ids":["x"]}}', b"{"):
        with pytest.raises(InvalidParameter):
            read_image(bad)


def test_best_fitting_manifest_is_chosen() -> None:
    def one(digest: str, platform: Platform | None) -> Descriptor:
        return Descriptor(OCI_MANIFEST, digest, 1, platform=platform)

    v6, v7 = (
        one("6", Platform("arm", "linux", variant="v6")),
        one("7", Platform("arm", "linux", variant="v7")),
    )
    unknown = one("u", Platform("unknown", "unknown"))
    wanted = Platform("arm", "linux", variant="v7")
    assert choose([v6, v7, unknown], wanted) == v7
    assert choose([v6], wanted) == v6
    assert choose([v7], Platform("arm", "linux", variant="v6")) is None
    assert choose([unknown], wanted) is None
    nameless = one("n", None)
    assert choose([nameless], wanted) == nameless


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
ODD = JSON | st.sampled_from([D, "sha256:../../x", OCI_INDEX, OCI_MANIFEST, CONFIG, [CONFIG], [CONFIG] * 3])
FIELDS = ["schemaVersion", "mediaType", "config", "layers", "manifests", "fsLayers", "annotations", "subject"]


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(FIELDS), ODD), st.sampled_from(["", OCI_MANIFEST, OCI_INDEX]))
def test_any_manifest_is_read_or_refused(fields: dict[str, Any], kind: str) -> None:
    try:
        document = read_document(json.dumps(fields).encode(), kind)
    except InvalidParameter:
        return
    assert kind in ("", document.media_type)
    assert document.is_index == (document.config is None)
    assert all(label.startswith("containerd.io/gc.ref.content.") for label in gc_labels(document))
    assert all(child.digest == D and child.size >= 0 for child in document.children())


@settings(max_examples=200)
@given(st.binary(max_size=200), st.integers(0, 300), st.sampled_from(["", OCI_MANIFEST, OCI_INDEX]))
def test_any_change_of_a_manifest_is_read_or_refused(noise: bytes, place: int, kind: str) -> None:
    good = encoded(config=CONFIG, layers=[CONFIG])
    for data in (
        noise,
        good[:place] + noise + good[place:],
        good[:place] + noise + good[place + len(noise) :],
    ):
        for read in (lambda data: read_document(data, kind), read_image):
            try:
                read(data)
            except InvalidParameter:
                continue


@settings(max_examples=200)
@given(
    st.dictionaries(
        st.sampled_from(["architecture", "os", "config", "rootfs", "history", "created"]),
        ODD | st.builds(lambda ids: {"type": "layers", "diff_ids": ids}, st.lists(ODD, max_size=3)),
    )
)
def test_any_configuration_is_read_or_refused(fields: dict[str, Any]) -> None:
    try:
        image = read_image(json.dumps(fields).encode())
    except InvalidParameter:
        return
    assert set(image.rootfs.diff_ids) <= {D}
    assert len(image.chains()) == len(image.rootfs.diff_ids)
