"""This file is about what a client reads when a request failed."""

from __future__ import annotations

import msgspec


class ErrorResponse(msgspec.Struct):
    """The one form of every error."""

    message: str
