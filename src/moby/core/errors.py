"""This file is about what can go wrong, and what a client can do about it.

MobyError
├── InvalidParameter  400  the request is wrong; sending it again cannot help
├── Unauthorized      401  say who you are
├── Forbidden         403  we know who you are, and no
├── NotFound          404
├── Conflict          409  the object's state forbids it; a change of state would allow it
├── NotModified       304  already so
├── NotImplemented    501  this assembly has no component that can
├── Unavailable       503  try again later
└── System            500  our fault, or the host's
    └── DataLoss      500  what was stored is gone or corrupt

The HTTP status of each class stands in `moby.api.status`; foreign errors (gRPC, errno, registries) are
translated into these once, at the door where they come in.
"""

from __future__ import annotations


class MobyError(Exception):
    """Anything a client is told about; `message` is what it reads, `hint` goes to the log and our own CLI."""

    def __init__(self, message: str, *, hint: str | None = None, **fields: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.fields = fields

    def __str__(self) -> str:
        return self.message


class InvalidParameter(MobyError):
    """The request is wrong; sending it again cannot help."""


class Unauthorized(MobyError):
    """The peer wants to know who is asking."""


class Forbidden(MobyError):
    """The asker is known, and may not."""


class NotFound(MobyError):
    """There is no such thing."""


class Conflict(MobyError):
    """The object's state forbids it; a change of state would allow it."""


class NotModified(MobyError):
    """It is already so."""


class NotImplemented(MobyError):
    """This assembly has no component that can."""


class Unavailable(MobyError):
    """Try again later."""


class System(MobyError):
    """Our fault, or the host's."""


class DataLoss(System):
    """What was stored is gone or corrupt."""


def no_such(kind: str, name: str) -> NotFound:
    """The error for an object that does not exist, in the words that docker's clients match on."""
    return NotFound(f"No such {kind}: {name}")


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Of errors that came together the first that tells a client something, else the first."""
    for error in group.exceptions:
        found = first_error(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, MobyError):
            return found
    return group.exceptions[0]
