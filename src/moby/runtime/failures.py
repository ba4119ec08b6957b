"""This file is about why a program could not be run: the OCI runtimes' words, made alike.

docker's clients look for some words in the daemon's message to choose an exit status (127: no such command,
126: it cannot be executed), so that crun's messages are given the words that runc has for the same thing.
"""

from __future__ import annotations

import re

from moby.core.errors import InvalidParameter, MobyError

_CRUN_NOT_FOUND = re.compile(
    r"(?:crun: )?executable file `(?P<name>[^`]*)` not found(?: in \$PATH)?: No such file or directory"
)
_SYSTEM_WORDS = (
    ("No such file or directory", "no such file or directory"),
    ("Permission denied", "permission denied"),
    ("Is a directory", "is a directory"),
    ("Not a directory", "not a directory"),
)
_RUN_FAILURE = re.compile(r"OCI runtime (?:create|start|exec) failed")


def reworded(error: MobyError) -> MobyError:
    """An error of the runtime as InvalidParameter in runc's words; any other error as it is."""
    message = error.message
    if not _RUN_FAILURE.search(message):
        return error
    message = _CRUN_NOT_FOUND.sub(
        lambda match: (
            f'unable to start container process: exec: "{match["name"]}": executable file not found in $PATH'
        ),
        message,
    )
    for theirs, ours in _SYSTEM_WORDS:
        message = message.replace(theirs, ours)
    if not message.startswith("failed to create task"):
        message = f"failed to create task for container: {message}"
    return InvalidParameter(message)
