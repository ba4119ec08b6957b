"""This file is about the daemon's own log: one line an event, as key=value pairs or as JSON."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

import msgspec

from moby.core.errors import MobyError

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LEVELS = {"WARNING": "warn", "CRITICAL": "fatal"}
_NAMES = {"debug": 10, "info": 20, "warn": 30, "error": 40, "fatal": 50}


class Formatter(logging.Formatter):
    """Event name, fields of `extra`, and the whole chain of causes of an exception."""

    def __init__(self, *, json: bool) -> None:
        super().__init__()
        self._json = json

    def format(self, record: logging.LogRecord) -> str:
        """One line, but for a trace at the level debug."""
        fields = self._fields(record)
        if self._json:
            return msgspec.json.encode(fields).decode()
        return " ".join(f"{key}={_quoted(value)}" for key, value in fields.items())

    def _fields(self, record: logging.LogRecord) -> dict[str, str]:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        fields = {
            "time": moment.replace("+00:00", "Z"),
            "level": _LEVELS.get(record.levelname, record.levelname.lower()),
            "msg": record.getMessage(),
        }
        for key, value in vars(record).items():
            if key not in _STANDARD and value is not None:
                fields[key.rstrip("_")] = str(value)
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = causes(record.exc_info[1])
            if not isinstance(record.exc_info[1], MobyError):
                fields["trace"] = self.formatException(record.exc_info)
        return fields


def causes(error: BaseException) -> str:
    """What went wrong, and why, and why that."""
    words: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        text = str(current) or type(current).__name__
        if not words or text not in words[-1]:
            words.append(text)
        if isinstance(current, MobyError) and current.hint:
            words[-1] += f" ({current.hint})"
        current = current.__cause__
    return ": ".join(words)


def _quoted(text: str) -> str:
    if text and not any(character in text for character in ' "=\n\t'):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def set_up(level: str, form: str, *, debug: bool) -> None:
    """Log to standard error from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter(json=form == "json"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_level(level, debug=debug)
    for noisy in ("asyncio", "grpc._cython.cygrpc"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def set_level(level: str, *, debug: bool) -> None:
    """Log what is at least this important."""
    logging.getLogger().setLevel(logging.DEBUG if debug else _NAMES[level])
