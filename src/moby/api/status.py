"""This file is about the HTTP status of each class of error; it is known here and nowhere else."""

from __future__ import annotations

from moby.core import errors

STATUS: dict[type[BaseException], int] = {
    errors.MobyError: 500,
    errors.InvalidParameter: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.NotModified: 304,
    errors.NotImplemented: 501,
    errors.Unavailable: 503,
    errors.System: 500,
    errors.DataLoss: 500,
}


def status_of(error: BaseException) -> int:
    """The status of an error by its nearest class in the table; 500 for what is not in it."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return 500
