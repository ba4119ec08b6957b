"""This file is about the command line of mobyd, which is dockerd's: `--flag=value`, `--flag value`, `-D`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

import msgspec

from moby.core.errors import InvalidParameter
from moby.engine.config import EngineConfig, Key, keys
from moby.logs.options import parse_size

OWN_FLAGS = {
    "config-file": "the configuration file",
    "assembly": "the assembly to run, a path or the name of one that ships",
    "validate": "check the configuration and end",
    "version": "print the version and end",
    "help": "print this and end",
}
_BARE = frozenset({"validate", "version", "help"})
SIZES = frozenset({"default_shm_size"})
_ADDRESSES = frozenset({"ip", "default_gateway", "default_gateway_v6"})
_ADDRESS_LISTS = frozenset({"dns", "host_gateway_ips"})
_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"(?=.*[a-zA-Z])(?=.{{1,254}}$){_LABEL}(?:\.{_LABEL})*\.?")


class CommandLine(msgspec.Struct):
    """What was asked for: settings by attribute, and what is mobyd's own."""

    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    config_file: str = ""
    assembly: str = ""
    validate: bool = False
    version: bool = False
    help: bool = False


class _Flag(msgspec.Struct, frozen=True):
    attribute: str
    key: Key
    default: Any

    @property
    def boolean(self) -> bool:
        return isinstance(self.default, bool)


def _flags() -> dict[str, _Flag]:
    default = EngineConfig()
    found: dict[str, _Flag] = {}
    for attribute, key in keys().items():
        flag = _Flag(attribute, key, getattr(default, attribute))
        if key.flag:
            found[f"--{key.flag}"] = flag
        if key.short:
            found[f"-{key.short}"] = flag
    return found


def parse(arguments: Sequence[str]) -> CommandLine:
    """Raises InvalidParameter in the words of dockerd's parser."""
    known = _flags()
    found = CommandLine()
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if not word.startswith("-") or word == "-":
            raise InvalidParameter(f'"mobyd" accepts no arguments: {word}')
        if name in ("-h", "-v"):
            name = {"-h": "--help", "-v": "--version"}[name]
        if name.removeprefix("--") in OWN_FLAGS and name.startswith("--"):
            _own(found, name.removeprefix("--"), value if equals else None, words)
            continue
        flag = known.get(name)
        if flag is None and not word.startswith("--") and len(word) > 2:
            flag, name, equals, value = _shorthands(known, word, found.settings)
        if flag is None:
            kind = "flag" if word.startswith("--") else "shorthand flag"
            raise InvalidParameter(f"unknown {kind}: {name}")
        if not equals and not flag.boolean:
            value = _next(words, name)
        _set(found.settings, flag, name, value if equals or not flag.boolean else "true")
    return found


def _shorthands(
    known: Mapping[str, _Flag], word: str, settings: dict[str, Any]
) -> tuple[_Flag | None, str, str, str]:
    """`-DH ADDRESS`, `-Hunix://...`: sets what needs no value; the last flag, its name, `=` and its value."""
    letters = word[1:]
    while True:
        name, rest = f"-{letters[0]}", letters[1:]
        flag = known.get(name)
        if flag is None or not rest or not flag.boolean or rest.startswith("="):
            return flag, name, "=" if rest else "", rest.removeprefix("=")
        settings[flag.attribute] = True
        letters = rest


def _own(found: CommandLine, name: str, value: str | None, words: Iterator[str]) -> None:
    attribute = name.replace("-", "_")
    if name in _BARE:
        setattr(found, attribute, _boolean(f"--{name}", value or "true"))
    else:
        setattr(found, attribute, value if value is not None else _next(words, f"--{name}"))


def _next(words: Iterator[str], name: str) -> str:
    for value in words:
        return value
    raise InvalidParameter(f"flag needs an argument: {name}")


def _set(settings: dict[str, Any], flag: _Flag, name: str, text: str) -> None:
    attribute, default = flag.attribute, flag.default
    if isinstance(default, bool):
        settings[attribute] = _boolean(name, text)
    elif isinstance(default, int):
        settings[attribute] = _size(name, text) if attribute in SIZES else _integer(name, text)
    elif isinstance(default, str):
        settings[attribute] = _checked(attribute, name, text)
    elif isinstance(default, tuple):
        item = _pool(name, text) if attribute == "default_address_pools" else _checked(attribute, name, text)
        settings[attribute] = (*settings.get(attribute, ()), item)
    else:
        key, equals, value = text.partition("=")
        if not equals and attribute == "features":
            value = "true"
        elif not equals:
            raise InvalidParameter(f'invalid argument "{text}" for "{name}" flag: expected KEY=VALUE')
        before = settings.get(attribute, {})
        if attribute == "default_network_opts":
            option, _, wanted = value.partition("=")
            settings[attribute] = {**before, key: {**before.get(key, {}), option: wanted}}
        else:
            settings[attribute] = {**before, key: _ENTRIES.get(attribute, _plain)(value)}


def _checked(attribute: str, name: str, text: str) -> str:
    """`text` itself, unless it has to be an address or a domain and is none."""
    problem = ""
    if attribute in _ADDRESSES or attribute in _ADDRESS_LISTS:
        try:
            ip_address(text)
        except ValueError:
            among = attribute in _ADDRESS_LISTS
            problem = f'ParseAddr("{text}"): unable to parse IP' if among else f'failed to parse IP: "{text}"'
    elif attribute == "dns_search" and text.strip() != "." and not _DOMAIN.fullmatch(text.strip()):
        problem = f"{text} is not a valid domain"
    if problem:
        raise _wrong(text, name, problem)
    return text


def _pool(name: str, text: str) -> dict[str, Any]:
    """`base=SUBNET,size=BITS`."""
    found: dict[str, Any] = {"base": "", "size": 0}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not equals:
            raise _wrong(text, name, f"invalid field '{part}' must be a key=value pair")
        if key not in found:
            raise _wrong(text, name, f"unexpected key '{key}' in '{part}'")
        found[key] = _integer(name, value) if key == "size" else value
    return found


def _wrong(text: str, name: str, problem: str) -> InvalidParameter:
    return InvalidParameter(f'invalid argument "{text}" for "{name}" flag: {problem}')


def _plain(text: str) -> Any:
    return text


def _ulimit(text: str) -> Any:
    soft, _, hard = text.partition(":")
    return {
        "Name": "",
        "Soft": _integer("--default-ulimit", soft),
        "Hard": _integer("--default-ulimit", hard or soft),
    }


_ENTRIES: dict[str, Callable[[str], Any]] = {
    "default_ulimits": _ulimit,
    "runtimes": lambda text: {"path": text},
    "features": lambda text: _boolean("--feature", text),
}


def _boolean(name: str, text: str) -> bool:
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise InvalidParameter(
        f'invalid argument "{text}" for "{name}" flag: strconv.ParseBool: parsing "{text}": invalid syntax'
    )


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise InvalidParameter(
            f'invalid argument "{text}" for "{name}" flag: strconv.ParseInt: parsing "{text}": invalid syntax'
        ) from error


def _size(name: str, text: str) -> int:
    try:
        return parse_size(text)
    except InvalidParameter as error:
        raise InvalidParameter(f'invalid argument "{text}" for "{name}" flag: {error.message}') from error


def usage() -> str:
    """What `mobyd --help` prints."""
    lines = [
        "Usage: mobyd [OPTIONS]",
        "",
        "A container engine that speaks the Docker Engine API.",
        "",
        "Options:",
    ]
    rows = [(f"--{name}", "", about) for name, about in OWN_FLAGS.items()]
    rows += [
        (f"--{key.flag}", f"-{key.short}, " if key.short else "", key.about)
        for key in keys().values()
        if key.flag
    ]
    lines += [f"  {short:4}{name:36}{about}" for name, short, about in sorted(rows)]
    return "\n".join(lines)
