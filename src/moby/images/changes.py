"""This file is about changes: the Dockerfile instructions that import and commit apply to a configuration."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Sequence

import msgspec

from moby.core.durations import parse_duration
from moby.core.errors import InvalidParameter
from moby.core.types.containers import HealthConfig
from moby.core.types.images import ImageConfig

_WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+""", re.DOTALL)
_VARIABLE = r"\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?:(?P<modifier>:?[-+])(?P<other>[^}]*))?\})"
_QUOTED_OR_VARIABLE = re.compile(rf"""\\.|"(?:[^"\\]|\\.)*"|'[^']*'|{_VARIABLE}""", re.DOTALL | re.ASCII)
_IN_DOUBLE_QUOTES = re.compile(rf'\\["\\$]|{_VARIABLE}', re.ASCII)
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)
_SHELL = ["/bin/sh", "-c"]


def apply_changes(config: ImageConfig, changes: Sequence[str]) -> ImageConfig:
    """A copy of `config` with the instructions applied in order. Raises InvalidParameter."""
    changed = msgspec.convert(msgspec.to_builtins(config), ImageConfig)
    for change in changes:
        for line in _lines(change):
            name, _, rest = line.partition(" ")
            apply = _INSTRUCTIONS.get(name.upper())
            if apply is None:
                raise InvalidParameter(f"{name} is not a valid change command")
            if not rest.strip() and name.upper() not in ("CMD", "ENTRYPOINT"):
                raise InvalidParameter(f"{name.upper()} requires at least one argument")
            apply(changed, rest.strip())
    return changed


def _lines(text: str) -> list[str]:
    """The instructions of a text: a backslash at a line's end goes on, `#` begins a comment."""
    joined = re.sub(r"\\[ \t]*\r?\n", "", text)
    lines = [re.sub(r"\s+", " ", line.strip(), count=1) for line in joined.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _exec_form(text: str) -> list[str] | None:
    if not text.startswith("["):
        return None
    try:
        return msgspec.json.decode(text, type=list[str])
    except msgspec.MsgspecError:
        return None


def _command(config: ImageConfig, text: str) -> list[str]:
    words = _exec_form(text)
    if words is None:
        return [*(config.shell or _SHELL), text] if text else []
    return words


def _cmd(config: ImageConfig, text: str) -> None:
    config.cmd = _command(config, text)


def _entrypoint(config: ImageConfig, text: str) -> None:
    config.entrypoint = _command(config, text)
    config.cmd = []


def _unquoted(config: ImageConfig, word: str) -> str:
    """A word without its quotes, with the values of the variables in it, but for those in single quotes."""

    def plain(match: re.Match[str]) -> str:
        text = match[0]
        if text[0] == "'":
            return text[1:-1]
        if text[0] == '"':
            return _IN_DOUBLE_QUOTES.sub(plain_inside, text[1:-1])
        return text[1:] if text[0] == "\\" else _value(config, match)

    def plain_inside(match: re.Match[str]) -> str:
        return match[0][1:] if match[0][0] == "\\" else _value(config, match)

    return _QUOTED_OR_VARIABLE.sub(plain, word)


def _value(config: ImageConfig, variable: re.Match[str]) -> str:
    """What stands for a variable: `$NAME`, `${NAME}`, `${NAME:-if it is not set}`, `${NAME:+if it is}`."""
    name, modifier, other = variable["plain"] or variable["name"], variable["modifier"], variable["other"]
    found = next((entry.partition("=")[2] for entry in config.env if entry.partition("=")[0] == name), None)
    there = bool(found) if modifier and modifier[0] == ":" else found is not None
    if modifier and modifier[-1] == "+":
        return _unquoted(config, other) if there else ""
    if modifier and not there:
        return _unquoted(config, other)
    return found or ""


def _pairs(config: ImageConfig, text: str, instruction: str) -> list[tuple[str, str]]:
    """`NAME=VALUE ...`, or the old `NAME VALUE`."""
    words = _WORD.findall(text)
    if not words:
        raise InvalidParameter(f"Syntax error - can't find = in {text!r}. Must be of the form: name=value")
    if "=" not in words[0]:
        name, _, value = text.partition(" ")
        if not value:
            raise InvalidParameter(f"{instruction} must have two arguments")
        return [(name, _unquoted(config, value.strip()))]
    pairs = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise InvalidParameter(
                f"Syntax error - can't find = in {word!r}. Must be of the form: name=value"
            )
        name = _unquoted(config, name)
        if not name:
            raise InvalidParameter(f"{instruction} names can not be blank")
        pairs.append((name, _unquoted(config, value)))
    return pairs


def _env(config: ImageConfig, text: str) -> None:
    for name, value in _pairs(config, text, "ENV"):
        others = [entry for entry in config.env if entry.partition("=")[0] != name]
        at = next((i for i, entry in enumerate(config.env) if entry.partition("=")[0] == name), len(others))
        config.env = [*others[:at], f"{name}={value}", *others[at:]]


def _label(config: ImageConfig, text: str) -> None:
    config.labels |= dict(_pairs(config, text, "LABEL"))


def _expose(config: ImageConfig, text: str) -> None:
    for word in _unquoted(config, text).split():
        match = _PORT.fullmatch(word)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if match is None or not 0 < first <= last <= 65535:
            raise InvalidParameter(f"invalid containerPort: {word}")
        for port in range(first, last + 1):
            config.exposed_ports[f"{port}/{(match[3] or 'tcp').lower()}"] = {}


def _user(config: ImageConfig, text: str) -> None:
    if len(text.split()) != 1:
        raise InvalidParameter("USER requires exactly one argument")
    config.user = _unquoted(config, text)


def _volume(config: ImageConfig, text: str) -> None:
    for path in _exec_form(text) or _WORD.findall(text):
        if not path.strip():
            raise InvalidParameter("VOLUME specified can not be an empty string")
        config.volumes[_unquoted(config, path.strip())] = {}


def _workdir(config: ImageConfig, text: str) -> None:
    config.working_dir = posixpath.normpath(posixpath.join("/", config.working_dir, _unquoted(config, text)))


def _stop_signal(config: ImageConfig, text: str) -> None:
    text = _unquoted(config, text)
    if not re.fullmatch(r"(?:SIG)?[A-Z0-9+-]+", text.upper()):
        raise InvalidParameter(f"invalid signal: '{text}'")
    config.stop_signal = text


def _on_build(config: ImageConfig, text: str) -> None:
    first = text.split()[0].upper()
    if first == "ONBUILD":
        raise InvalidParameter("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if first in ("MAINTAINER", "FROM"):
        raise InvalidParameter(f"{first} isn't allowed as an ONBUILD trigger")
    config.on_build.append(text)


class _Option(msgspec.Struct, frozen=True):
    name: str
    field: str


_OPTIONS = (
    _Option("--interval", "interval"),
    _Option("--timeout", "timeout"),
    _Option("--start-period", "start_period"),
    _Option("--start-interval", "start_interval"),
)


def _healthcheck(config: ImageConfig, text: str) -> None:
    health = HealthConfig()
    while text.startswith("--"):
        option, _, text = text.partition(" ")
        name, _, value = option.partition("=")
        if name == "--retries":
            if not value.isdigit():
                raise InvalidParameter(f"--retries must be a number, not {value!r}")
            health.retries = int(value)
            continue
        known = next((each for each in _OPTIONS if each.name == name), None)
        if known is None:
            raise InvalidParameter(f"unknown flag: {name.lstrip('-')}")
        setattr(health, known.field, int(parse_duration(value) * 1_000_000_000))
    kind, _, rest = text.strip().partition(" ")
    match kind.upper():
        case "NONE":
            health.test = ["NONE"]
        case "CMD" if rest.strip():
            words = _exec_form(rest.strip())
            health.test = ["CMD-SHELL", rest.strip()] if words is None else ["CMD", *words]
        case "CMD":
            raise InvalidParameter("missing command after HEALTHCHECK CMD")
        case _:
            raise InvalidParameter(f"unknown type {kind!r} in HEALTHCHECK (try CMD)")
    config.healthcheck = health


_INSTRUCTIONS: dict[str, Callable[[ImageConfig, str], None]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _on_build,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
