"""What of requests and answers is shown to who says what is allowed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import pytest
from aiohttp.web import Response
from multidict import CIMultiDict

from moby.api.authorization import BODY_LIMIT, Gate
from moby.core.authorization import Answered, Asked, Authorizer
from moby.core.errors import Forbidden, MobyError, System

JSON: Mapping[str, str] = CIMultiDict({"content-type": "application/json"})


@dataclass
class Recording(Authorizer):
    """Allows everything but what it is told to refuse, and remembers."""

    asked: list[Asked] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    refusal: MobyError | None = None
    required = True

    async def request(self, asked: Asked) -> None:
        self.asked.append(asked)

    async def response(self, asked: Asked, answered: Answered) -> None:
        self.answered.append(answered)
        if self.refusal is not None:
            raise self.refusal


class Content:
    """A body that comes in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    async def iter_any(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


class Http:
    """A request as aiohttp has it."""

    method = "POST"
    raw_path = "/v1.41/x?y=z"
    protocol = None

    def __init__(self, headers: Mapping[str, str], *pieces: bytes) -> None:
        self.headers = CIMultiDict(headers)
        self.content = Content(*pieces)


def gate(headers: Mapping[str, str], *pieces: bytes, path: str = "/x") -> tuple[Gate, Recording]:
    """A request at an authorizer."""
    recording = Recording()
    return Gate(recording, Http(headers, *pieces), path), recording  # type: ignore[arg-type]


async def test_json_is_shown_and_kept_for_the_handler() -> None:
    one, recording = gate({**JSON, "x-thing": "1", "Host": "h", "Authorization": "hush"}, b"{", b"}")
    await one.admit()
    assert recording.asked == [
        Asked("POST", "/v1.41/x?y=z", {"Content-Type": "application/json", "X-Thing": "1"}, b"{}")
    ]
    assert one.body == b"{}"


@pytest.mark.parametrize("kind", ["", "application/x-tar", "text/plain", "application/jsonx"])
async def test_other_bodies_are_left_alone(kind: str) -> None:
    one, recording = gate({"Content-Type": kind}, b"x" * (BODY_LIMIT + 1))
    await one.admit()
    assert (recording.asked[0].body, one.body) == (b"", b"")


async def test_what_people_log_in_with_is_not_shown() -> None:
    one, recording = gate(JSON, b"{}", path="/auth")
    await one.admit()
    assert recording.asked[0].body == b""


async def test_a_body_is_shown_whole_or_refused() -> None:
    one, recording = gate(JSON, b"x" * BODY_LIMIT)
    await one.admit()
    assert len(recording.asked[0].body) == BODY_LIMIT
    one, recording = gate(JSON, b"x" * BODY_LIMIT, b"x")
    with pytest.raises(System, match="size exceeds 4194304 bytes"):
        await one.admit()
    assert recording.asked == []


async def test_an_answer_is_asked_about_once() -> None:
    one, recording = gate(JSON)
    await one.release(200, JSON, b"[]")
    await one.release(500, {})
    assert recording.answered == [Answered(200, {"Content-Type": "application/json"}, b"[]")]


async def test_a_refusal_of_an_error_is_no_error() -> None:
    one, recording = gate({})
    recording.refusal = Forbidden("no")
    await one.release_refusal(Response(status=404, body=b"{}", headers=JSON))
    assert recording.answered[0].status == 404
    with pytest.raises(Forbidden):
        await gate_refusing(recording).release(200, {})


def gate_refusing(recording: Recording) -> Gate:
    """Another request at the same authorizer."""
    return Gate(recording, Http({}), "/x")  # type: ignore[arg-type]
