"""This file is about log tags: templates in Go's form (`{{.Name}}/{{.ID}}`), without its control flow.

An action is a pipeline of commands; a command is a field, a text, a number, or a function with operands.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

import msgspec

from moby.core.errors import InvalidParameter
from moby.core.logs import LogInfo

DEFAULT_TAG = "{{.ID}}"
_ACTION = re.compile(r"\{\{(- )?((?:\"(?:\\.|[^\"\\])*\"|`[^`]*`|[^{}])*?)( -)?\}\}")
_TOKEN = re.compile(r"\s*(\"(?:\\.|[^\"\\])*\"|`[^`]*`|\||\(|\)|-?\d+|\.\w+|\.|\w+)")
Value = object


def expand_tag(template: str, info: LogInfo) -> str:
    """A tag template filled in. Raises InvalidParameter for what it cannot be filled with."""
    found: list[str] = []
    at = 0
    trim = False
    for match in _ACTION.finditer(template):
        text = template[at : match.start()]
        text = text.lstrip() if trim else text
        found.append(text.rstrip() if match[1] else text)
        found.append(_shown(_Pipeline(match[2], info).value()))
        at, trim = match.end(), bool(match[3])
    rest = template[at:]
    if "{{" in rest or "{{" in "".join(found[::2]):
        raise InvalidParameter(f"template: log-tag:1: unclosed action: {template}")
    return "".join(found) + (rest.lstrip() if trim else rest)


def tag_of(info: LogInfo, default: str = DEFAULT_TAG) -> str:
    """The container's tag. Raises InvalidParameter."""
    return expand_tag(info.options.get("tag") or default, info)


def _fields(info: LogInfo) -> Mapping[str, Value]:
    return {
        "ID": info.container_id[:12],
        "FullID": info.container_id,
        "Name": info.container_name,
        "ImageID": info.image_id.removeprefix("sha256:")[:12],
        "ImageFullID": info.image_id,
        "ImageName": info.image_name,
        "DaemonName": "docker",
        "Command": info.command,
        "Hostname": os.uname().nodename,
        "ContainerID": info.container_id,
        "ContainerName": f"/{info.container_name}",
        "ContainerImageID": info.image_id,
        "ContainerImageName": info.image_name,
        "ContainerCreated": info.created,
        "ContainerEnv": list(info.env),
        "ContainerLabels": dict(info.labels),
        "Config": dict(info.options),
    }


class _Pipeline:
    """One action's words, read from left to right."""

    def __init__(self, source: str, info: LogInfo) -> None:
        self._source = source.strip()
        self._fields = _fields(info)
        self._tokens = self._split(source)
        self._at = 0

    def _split(self, source: str) -> list[str]:
        tokens, at = [], 0
        source = source.rstrip()
        while at < len(source):
            match = _TOKEN.match(source, at)
            if match is None:
                self._fail(f"unexpected {source[at : at + 1]!r} in command")
            tokens.append(match[1])
            at = match.end()
        return tokens

    def _fail(self, words: str) -> NoReturn:
        raise InvalidParameter(f'template: log-tag:1: executing "log-tag" at <{self._source}>: {words}')

    def value(self) -> Value:
        """What the whole action says."""
        value = self._pipeline()
        if self._at < len(self._tokens):
            self._fail(f"unexpected {self._tokens[self._at]}")
        return value

    def _pipeline(self) -> Value:
        value = self._command(())
        while self._peek() == "|":
            self._at += 1
            value = self._command((value,))
        return value

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _command(self, piped: tuple[Value, ...]) -> Value:
        word = self._peek()
        if word in ("", "|", ")"):
            self._fail("missing value for command")
        function = FUNCTIONS.get(word)
        if function is None:
            if word[0].isalpha():
                self._fail(f'function "{word}" not defined')
            value = self._operand()
            if piped or self._peek() not in ("", "|", ")"):
                self._fail(f"can't give argument to non-function {word}")
            return value
        self._at += 1
        operands: list[Value] = []
        while self._peek() not in ("", "|", ")"):
            operands.append(self._operand())
        try:
            return function(*operands, *piped)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            self._fail(f"error calling {word}: {error}")

    def _operand(self) -> Value:
        word = self._peek()
        self._at += 1
        if word == "(":
            value = self._pipeline()
            if self._peek() != ")":
                self._fail("unclosed left paren")
            self._at += 1
            return value
        if word[0] == "`":
            return word[1:-1]
        if word[0] == '"':
            return str(msgspec.json.decode(word))
        if word[0] == ".":
            return self._field(word[1:])
        if not word.lstrip("-").isdigit():
            self._fail(f'function "{word}" not defined')
        return int(word)

    def _field(self, name: str) -> Value:
        if name not in self._fields:
            self._fail(f"can't evaluate field {name} in type *logger.Info")
        value = self._fields[name]
        # `.Config.tag`: a key of a map.
        while isinstance(value, dict) and self._peek().startswith(".") and len(self._peek()) > 1:
            value = value.get(self._peek()[1:], "")
            self._at += 1
        return value


def _shown(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return f"[{' '.join(map(_shown, value))}]"
        case dict():
            return f"map[{' '.join(f'{key}:{_shown(one)}' for key, one in sorted(value.items()))}]"
        case _:
            return str(value)


def _pad(text: str, before: int, after: int) -> str:
    return f"{' ' * before}{text}{' ' * after}" if text else text


def _title(text: str) -> str:
    return re.sub(r"(?<!\w)\w", lambda match: match[0].upper(), text)


def _index(value: Sequence[Value] | Mapping[str, Value], *keys: str | int) -> Value:
    found: Value = value
    for key in keys:
        match found, key:
            case dict(), str():
                found = found.get(key, "")
            case list() | str(), int():
                found = found[key]
            case _:
                raise TypeError(f"can't index item of type {type(found).__name__}")
    return found


def _printf(form: str, *values: Value) -> str:
    left = list(values)

    def one(match: re.Match[str]) -> str:
        if match[2] == "%":
            return "%"
        value = left.pop(0)
        text = msgspec.json.encode(value).decode() if match[2] == "q" else _shown(value)
        width = int(match[1] or "0")
        return text.ljust(-width) if width < 0 else text.rjust(width)

    return re.sub(r"%(-?\d*)([sdvq%])", one, form)


FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "json": lambda value: msgspec.json.encode(value).decode(),
    "split": lambda text, separator: text.split(separator) if separator else list(text),
    "join": lambda parts, separator: separator.join(parts),
    "title": _title,
    "lower": lambda text: text.lower(),
    "upper": lambda text: text.upper(),
    "pad": _pad,
    "truncate": lambda text, length: text[:length],
    "index": _index,
    "printf": _printf,
    "print": lambda *values: "".join(map(_shown, values)),
    "len": len,
}
