"""This file is about progress: what pull, push, load and import tell while they work, a message a line."""

from __future__ import annotations

import msgspec


class JSONError(msgspec.Struct, omit_defaults=True):
    """Why the work stopped."""

    code: int = 0
    message: str = ""


class JSONProgress(msgspec.Struct, omit_defaults=True):
    """How far a part is; `start` in seconds since 1970, `units` empty for bytes."""

    current: int = 0
    total: int = 0
    start: int = 0
    hidecounts: bool = False
    units: str = ""


class JSONMessage(msgspec.Struct, omit_defaults=True):
    """One step; `id` names the part of the work (a layer), `progress` is the bar as text for old clients."""

    stream: str = ""
    status: str = ""
    progress_detail: JSONProgress | None = msgspec.field(name="progressDetail", default=None)
    progress: str = ""
    id: str = ""
    error_detail: JSONError | None = msgspec.field(name="errorDetail", default=None)
    error: str = ""
    aux: msgspec.Raw | None = None
