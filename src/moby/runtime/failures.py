"""This file is about why a program could not be run: the OCI runtimes' words, made alike.

docker's clients look for some words in the daemon's message to choose an exit status (127: no such command,
126: it cannot be executed), so that crun's messages are given the words that runc has for the same thing.
"""

from __future__ import annotations

import re
from typing import Literal

from moby.core.errors import InvalidParameter, MobyError, System

Reason = Literal["not-found", "not-executable"]

_CRUN_NOT_FOUND = re.compile(
    r"(?:crun: )?executable file `(?P<name>[^`]*)` not found(?: in \$PATH)?(?:: No such file or directory)?"
)
_CRUN_NOT_EXECUTABLE = re.compile(
    r"the path `(?P<name>[^`]*)` exists but it is not executable: Operation not permitted"
)
_SYSTEM_WORDS = (
    ("No such file or directory", "no such file or directory"),
    ("Permission denied", "permission denied"),
    ("Is a directory", "is a directory"),
    ("Not a directory", "not a directory"),
    # crun 1.8 says this of a directory; runc, and docker's clients, say what follows from it.
    ("open executable: Operation not permitted", "open executable: permission denied"),
)
_REASONS: tuple[tuple[Reason, tuple[str, ...]], ...] = (
    ("not-executable", ("permission denied", "is a directory")),
    ("not-found", ("not a directory", "executable file not found", "no such file or directory")),
)


def reason(message: str) -> Reason | None:
    """Which of the two that have an exit status of their own; a mount that fails counts, as in docker."""
    folded = message.lower()
    return next((name for name, words in _REASONS if any(word in folded for word in words)), None)


def reworded(error: MobyError, *, doing: str = "") -> MobyError:
    """What the runtime said, with `reason` among its fields and `doing` in front of the message.

    InvalidParameter if the program (or a mount) is at fault, System if not; what containerd itself says of
    its state is left as it is.
    """
    if not isinstance(error, System | InvalidParameter):
        return error
    message = error.message
    for pattern, words in (
        (_CRUN_NOT_FOUND, "executable file not found in $PATH"),
        (_CRUN_NOT_EXECUTABLE, "permission denied"),
    ):
        message = pattern.sub(rf'unable to start container process: exec: "\g<name>": {words}', message)
    for theirs, ours in _SYSTEM_WORDS:
        message = message.replace(theirs, ours)
    if doing:
        message = f"{doing}: {message}"
    why = reason(message)
    kind = InvalidParameter if why else type(error)
    return kind(message, reason=why)
