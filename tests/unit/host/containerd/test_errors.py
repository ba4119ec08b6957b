from __future__ import annotations

import grpc
import pytest

from moby.core.errors import Conflict, InvalidParameter, MobyError, NotFound, System, Unavailable
from moby.host.containerd.errors import is_held, translated, translation


def failed(code: grpc.StatusCode, words: str = "words") -> grpc.aio.AioRpcError:
    """What a call raises."""
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), words)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param(grpc.StatusCode.NOT_FOUND, NotFound, id="not-found"),
        pytest.param(grpc.StatusCode.ALREADY_EXISTS, Conflict, id="already-exists"),
        pytest.param(grpc.StatusCode.FAILED_PRECONDITION, Conflict, id="precondition"),
        pytest.param(grpc.StatusCode.INVALID_ARGUMENT, InvalidParameter, id="invalid"),
        pytest.param(grpc.StatusCode.UNKNOWN, System, id="unknown"),
    ],
)
def test_each_code_has_its_class_and_keeps_its_words(
    code: grpc.StatusCode, expected: type[MobyError]
) -> None:
    error = translated(failed(code))
    assert type(error) is expected
    assert (error.message, error.fields["code"]) == ("words", code.name)


def test_silence_and_absence_say_whose_they_are() -> None:
    late = translated(failed(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"))
    assert (type(late), late.message) == (Unavailable, "containerd did not answer in time")
    gone = translated(failed(grpc.StatusCode.UNAVAILABLE, "connection refused"))
    assert (type(gone), gone.message) == (Unavailable, "cannot connect to containerd: connection refused")


def test_what_another_holds_is_not_a_lost_connection() -> None:
    error = failed(grpc.StatusCode.UNAVAILABLE, "ref a locked for 2s (since ...): unavailable")
    assert is_held(error)
    assert translated(error).message == error.details()
    assert not is_held(failed(grpc.StatusCode.UNAVAILABLE, "Socket closed"))


def test_only_errors_of_calls_are_translated() -> None:
    with pytest.raises(NotFound), translation():
        raise failed(grpc.StatusCode.NOT_FOUND)
    with pytest.raises(ZeroDivisionError), translation():
        raise ZeroDivisionError
