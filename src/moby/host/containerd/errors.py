"""This file is about containerd's errors in our words: gRPC status codes, translated where they come in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from moby.core.errors import (
    Conflict,
    DataLoss,
    Forbidden,
    InvalidParameter,
    MobyError,
    NotFound,
    NotImplemented,
    System,
    Unauthorized,
    Unavailable,
)

_CLASSES: dict[grpc.StatusCode, type[MobyError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidParameter,
    grpc.StatusCode.OUT_OF_RANGE: InvalidParameter,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: Conflict,
    grpc.StatusCode.FAILED_PRECONDITION: Conflict,
    grpc.StatusCode.ABORTED: Conflict,
    grpc.StatusCode.PERMISSION_DENIED: Forbidden,
    grpc.StatusCode.UNAUTHENTICATED: Unauthorized,
    grpc.StatusCode.UNIMPLEMENTED: NotImplemented,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: Unavailable,
    grpc.StatusCode.DATA_LOSS: DataLoss,
}


def translated(error: grpc.aio.AioRpcError) -> MobyError:
    """The class for a gRPC status code; the words are containerd's, the code is kept in `fields`."""
    code = error.code()
    words = error.details() or code.name
    if code is grpc.StatusCode.UNAVAILABLE and not is_held(error):
        words = f"cannot connect to containerd: {words}"
    elif code is grpc.StatusCode.DEADLINE_EXCEEDED:
        words = "containerd did not answer in time"
    return _CLASSES.get(code, System)(words, code=code.name)


def is_held(error: grpc.aio.AioRpcError) -> bool:
    """Does somebody else hold what the call needs? containerd says so with the code of a lost connection."""
    words = error.details() or ""
    return error.code() is grpc.StatusCode.UNAVAILABLE and words.endswith(": unavailable")


@contextmanager
def translation() -> Iterator[None]:
    """Inside this block gRPC errors leave as ours."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise translated(error) from error
