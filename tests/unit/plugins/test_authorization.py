"""Plugins that say who may do what: what they are asked, and what their answers mean."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from moby.core.authorization import Answered, Asked
from moby.core.errors import Forbidden, System
from moby.plugins.authorization import AuthorizationPlugins
from moby.plugins.discovery import Discovery
from moby.plugins.host import LegacyPlugins
from tests.sample_plugins import Sample, Server, authorization

ASKED = Asked("POST", "/v1.41/x", {"A": "b"}, b"{}", "ann", ["PEM"])


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    """A plugin, not yet served."""
    return authorization(tmp_path / "state")


@pytest.fixture
async def authorizer(sample: Sample, tmp_path: Path) -> AsyncIterator[Callable[..., AuthorizationPlugins]]:
    """Makes authorizers of plugins by their names, of which `one` and `two` are there."""
    with Server(tmp_path / "one.sock", sample), Server(tmp_path / "two.sock", sample):
        async with LegacyPlugins(Discovery(tmp_path, []), 0) as plugins:
            yield lambda *names: AuthorizationPlugins(plugins, lambda: names)


def calls(sample: Sample, method: str) -> list[dict[str, Any]]:
    """What it was asked."""
    lines = map(json.loads, (sample.state / "calls.jsonl").read_text().splitlines())
    return [line["request"] for line in lines if line["method"] == method]


async def test_everything_that_is_known_is_told(
    authorizer: Callable[..., AuthorizationPlugins], sample: Sample
) -> None:
    one = authorizer("one")
    await one.request(ASKED)
    await one.response(ASKED, Answered(201, {"C": "d"}, b"[]"))
    told = {
        "User": "ann", "UserAuthNMethod": "TLS", "RequestMethod": "POST", "RequestUri": "/v1.41/x",
        "RequestBody": base64.b64encode(b"{}").decode(), "RequestHeaders": {"A": "b"},
        "RequestPeerCertificates": [base64.b64encode(b"PEM").decode()],
    }  # fmt: skip
    assert calls(sample, "AuthZPlugin.AuthZReq") == [told]
    answered = {
        "ResponseStatusCode": 201,
        "ResponseHeaders": {"C": "d"},
        "ResponseBody": base64.b64encode(b"[]").decode(),
    }
    assert calls(sample, "AuthZPlugin.AuthZRes") == [told | answered]


async def test_each_is_asked_once_and_the_first_no_is_final(
    authorizer: Callable[..., AuthorizationPlugins], sample: Sample
) -> None:
    await authorizer("one", "two", "one").request(ASKED)
    assert len(calls(sample, "AuthZPlugin.AuthZReq")) == 2
    (sample.state / "policy.json").write_text(json.dumps({"request": "POST"}))
    with pytest.raises(Forbidden) as error:
        await authorizer("two", "one").request(ASKED)
    assert error.value.message == "authorization denied by plugin two: no request like that"
    assert len(calls(sample, "AuthZPlugin.AuthZReq")) == 3


async def test_who_cannot_decide_allows_nothing(
    authorizer: Callable[..., AuthorizationPlugins], sample: Sample
) -> None:
    with pytest.raises(System) as error:
        await authorizer("one", "absent").request(ASKED)
    assert error.value.message == 'plugin absent failed with error: plugin "absent" not found'
    (sample.state / "mood.json").write_text(json.dumps({"AuthZPlugin.AuthZReq": "garbage"}))
    with pytest.raises(System, match="plugin one failed with error: "):
        await authorizer("one").request(ASKED)
    sample.methods["AuthZPlugin.AuthZRes"] = lambda _: {}
    with pytest.raises(Forbidden):
        await authorizer("one").response(ASKED, Answered(200))


async def test_without_plugins_nobody_is_asked(authorizer: Callable[..., AuthorizationPlugins]) -> None:
    assert not authorizer().required
    assert authorizer("one").required
    await authorizer().check()
    await authorizer("one").check()
    with pytest.raises(System, match='failed to validate authorization plugin: plugin "absent" not found'):
        await authorizer("absent").check()
