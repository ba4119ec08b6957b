"""This file is about filters: the `filters` query parameter of lists, prunes and events."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Self

import msgspec

from moby.core.durations import is_duration, parse_duration
from moby.core.errors import InvalidParameter

_LAYOUT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?)?(Z|[+-]\d\d:?\d\d)?"
)


class Filters:
    """Values by key. What comes twice counts once; order is kept."""

    def __init__(self, fields: Mapping[str, Collection[str]] | None = None) -> None:
        self._fields = {key: list(dict.fromkeys(values)) for key, values in (fields or {}).items()}

    @classmethod
    def parse(cls, text: str) -> Self:
        """From JSON: a map of maps of booleans or a map of lists. Raises InvalidParameter."""
        if not text:
            return cls()
        raw: Mapping[str, Collection[str] | None] | None
        try:
            raw = msgspec.json.decode(text, type=dict[str, dict[str, bool | None] | None] | None)
        except msgspec.MsgspecError:
            try:
                raw = msgspec.json.decode(text, type=dict[str, list[str] | None] | None)
            except msgspec.MsgspecError as error:
                raise InvalidParameter("invalid filter") from error
        return cls({key: list(values or ()) for key, values in (raw or {}).items()})

    def values(self, key: str) -> list[str]:
        """The values of a key, empty if it was not given."""
        return self._fields.get(key, [])

    def check(self, known: Collection[str]) -> None:
        """Raises InvalidParameter, naming the first key that is not among `known`."""
        for key in self._fields:
            if key not in known:
                raise InvalidParameter(f"invalid filter '{key}'")

    def flag(self, key: str, default: bool) -> bool:
        """A value that says yes or no. Raises InvalidParameter if it says neither, or both."""
        if key not in self._fields:
            return default
        values = self._fields[key]
        no, yes = bool({"0", "false"} & set(values)), bool({"1", "true"} & set(values))
        if no == yes:
            shown = f"={_go_list(values)}" if values else ""
            raise InvalidParameter(f"invalid filter '{key}{shown}'")
        return yes

    def labels_match(self, key: str, labels: Mapping[str, str]) -> bool:
        """Has `labels` every `NAME` or `NAME=VALUE` given for `key`?"""
        return all(
            name in labels and (not separator or labels[name] == value)
            for name, separator, value in (text.partition("=") for text in self.values(key))
        )

    def text_matches(self, key: str, text: str) -> bool:
        """Is `text` one of the values of `key`, or has a part that one of them is a pattern of?"""
        values = self.values(key)
        return not values or text in values or any(_found(value, text) for value in values)

    @staticmethod
    def moment(text: str) -> datetime:
        """A point in time from a time stamp (seconds since 1970 or RFC 3339) or a duration before now.

        Raises InvalidParameter.
        """
        seconds, nanoseconds = parse_time(text)
        return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=nanoseconds // 1000)

    def __contains__(self, key: object) -> bool:
        return key in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Filters({self._fields!r})"


def _found(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False


def _go_list(values: Collection[str]) -> str:
    return "[" + " ".join(values) + "]"


def parse_time(text: str, now: datetime | None = None) -> tuple[int, int]:
    """Seconds since 1970 and nanoseconds of a time stamp in any form that docker's clients send.

    `SECONDS[.FRACTION]`, a duration before `now`, or RFC 3339 with parts left out (without a zone: the
    daemon's own). Raises InvalidParameter.
    """
    if re.fullmatch(r"-?\d{1,18}(\.\d*)?", text):
        whole, _, fraction = text.partition(".")
        seconds = int(whole)
        if not -62135596800 <= seconds <= 253402300799:
            raise InvalidParameter(f'invalid timestamp: "{text}" is out of range')
        return seconds, int((fraction + "000000000")[:9])
    if is_duration(text):
        moment = (now or datetime.now(UTC)).timestamp() - parse_duration(text)
        if not -62135596800 <= moment <= 253402300799:
            raise InvalidParameter(f'invalid timestamp: "{text}" is out of range')
        return int(moment // 1), int(moment % 1 * 1e9)
    match = _LAYOUT.fullmatch(text)
    if match is None:
        raise InvalidParameter(f'parsing time "{text}" as "2006-01-02T15:04:05": cannot parse "{text}"')
    day, hour, minute, second, fraction, zone = match.groups()
    try:
        moment_ = datetime.fromisoformat(
            f"{day}T{hour or '00'}:{minute or '00'}:{second or '00'}{zone or ''}"
        )
    except ValueError as error:
        raise InvalidParameter(f'parsing time "{text}": {error}') from error
    return int(moment_.timestamp()), int(((fraction or "") + "000000000")[:9])
