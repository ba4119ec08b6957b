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
# crun 1.8 says the second of a directory, and neither names the program.
_CRUN_NOT_OPENED = re.compile(r"open executable: (?:Permission denied|Operation not permitted)")
_MISSING, _FORBIDDEN = "executable file not found in $PATH", "permission denied"
_SYSTEM_WORDS = (
    ("No such file or directory", "no such file or directory"),
    ("Permission denied", "permission denied"),
    ("Is a directory", "is a directory"),
    ("Not a directory", "not a directory"),
)
_REASONS: tuple[tuple[Reason, tuple[str, ...]], ...] = (
    ("not-executable", ("permission denied", "is a directory")),
    ("not-found", ("not a directory", "executable file not found", "no such file or directory")),
)


def reason(message: str) -> Reason | None:
    """Which of the two that have an exit status of their own; a mount that fails counts, as in docker."""
    folded = message.lower()
    return next((name for name, words in _REASONS if any(word in folded for word in words)), None)


def reworded(error: MobyError, *, program: str | None = None, doing: str = "") -> MobyError:
    """What the runtime said of a program, with `reason` among its fields and `doing` before the message.

    InvalidParameter if the program (or a mount) is at fault, System if not; what containerd itself says of
    its state is left as it is.
    """
    if not isinstance(error, System | InvalidParameter):
        return error
    message = _CRUN_NOT_FOUND.sub(lambda found: _cannot_run(found["name"], _MISSING), error.message)
    message = _CRUN_NOT_EXECUTABLE.sub(lambda found: _cannot_run(found["name"], _FORBIDDEN), message)
    if program is not None:
        why = _FORBIDDEN if program else _MISSING
        message = _CRUN_NOT_OPENED.sub(lambda _: _cannot_run(program, why), message)
    for theirs, ours in _SYSTEM_WORDS:
        message = message.replace(theirs, ours)
    if doing:
        message = f"{doing}: {message}"
    found = reason(message)
    kind = InvalidParameter if found else type(error)
    return kind(message, reason=found)


def _cannot_run(program: str, why: str) -> str:
    return f'unable to start container process: exec: "{program}": {why}'
