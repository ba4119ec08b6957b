"""This file is about JSON as the Engine API reads and writes it.

What clients send is first decoded strictly, which is fast. Go's decoder takes more: `null` for anything, keys
in any case, and it names errors its own way; for a body that is refused, all that is worked out here.
"""

from __future__ import annotations

import re
import types
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec

from moby.core.errors import InvalidParameter

T = TypeVar("T")

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_keys: dict[type, dict[str, msgspec.structs.FieldInfo]] = {}

_KEYS = re.compile(rb'"([A-Za-z0-9]+)"\s*:')
_RANGE = re.compile(r"Expected `int` [<>]=? .*? - at `\$\.?(?P<path>.*)`")
# What clients look for is what Go's decoder says.
_GO_WORDS = {
    "object keys must be strings": "looking for beginning of object key string",
    "invalid character": "looking for beginning of value",
    "trailing comma in array": "looking for beginning of value",
    "trailing comma in object": "looking for beginning of object key string",
    "expected ':'": "after object key",
    "expected ',' or '}'": "after object key:value pair",
    "expected ',' or ']'": "after array element",
}
_SYNTAX = re.compile(r"JSON is malformed: (?P<what>.*?) \(byte (?P<at>\d+)\)")
_MISMATCH = re.compile(r"Expected `(?P<wanted>.+?)`, got `(?P<got>.+?)`(?: - at `\$\.?(?P<path>.*)`)?")
_GO_VALUES = {
    "int": "number",
    "float": "number",
    "str": "string",
    "bool": "bool",
    "object": "object",
    "array": "array",
    "null": "null",
}
_GO_TYPES = {"int": "int64", "str": "string", "bool": "bool", "array": "[]string", "float": "float64"}


def encode(value: object) -> bytes:
    """`value` as JSON, without a newline."""
    return _encoder.encode(value)


def decode(body: bytes | memoryview, kind: type[T]) -> T:
    """`body` as a `kind`. Raises InvalidParameter in dockerd's words.

    Unknown keys are ignored, `null` stands for a field's zero value, keys match in any case, and of a key
    that comes twice the last counts.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    if not body.strip() if isinstance(body, bytes) else not len(body):
        raise InvalidParameter("invalid JSON: got EOF while reading request body")
    try:
        value = decoder.decode(body)
    except msgspec.ValidationError:
        return _decode_loosely(bytes(body), kind)
    except UnicodeDecodeError:
        return _decode_loosely(bytes(body), kind)
    except (msgspec.DecodeError, RecursionError) as error:
        if "utf-8" in str(error):
            return _decode_loosely(bytes(body), kind)
        raise _syntax_error(error, bytes(body)) from error
    if _may_hold_other_keys(body, kind):
        return _decode_loosely(bytes(body), kind)
    found: T = value
    return found


_known_names: dict[Any, tuple[frozenset[bytes], frozenset[str]]] = {}


def _may_hold_other_keys(body: bytes | memoryview, kind: Any) -> bool:
    """Is there a key in the body that is some field's, but in another case?

    Looks at every word in quotes before a colon, wherever it stands: it may be wrong about a map's key, which
    costs time only.
    """
    known, folded = _names(kind)
    others = set(_KEYS.findall(body)) - known
    return any(name.decode().lower() in folded for name in others)


def _names(kind: Any) -> tuple[frozenset[bytes], frozenset[str]]:
    """Every field name that may occur under `kind`, as written and in lower case."""
    if kind not in _known_names:
        found: set[str] = set()
        _collect(kind, found, set())
        _known_names[kind] = (
            frozenset(name.encode() for name in found),
            frozenset(name.lower() for name in found),
        )
    return _known_names[kind]


def _collect(kind: Any, names: set[str], seen: set[Any]) -> None:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if kind in seen:
            return
        seen.add(kind)
        for field in msgspec.structs.fields(kind):
            names.add(field.encode_name)
            _collect(field.type, names, seen)
    for part in get_args(kind):
        _collect(part, names, seen)


def _decode_loosely(body: bytes, kind: type[T]) -> T:
    try:
        # Go reads what is no UTF-8 as U+FFFD.
        raw = msgspec.json.decode(body.decode(errors="replace"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _syntax_error(error, body) from error
    try:
        return msgspec.convert(_shaped(raw, kind), kind)
    except msgspec.ValidationError as error:
        raise _type_error(error, kind) from error


def _shaped(value: Any, kind: Any) -> Any:
    """`value` with keys in their own case and zero values for nulls, as `kind` wants it."""
    kind, optional = _plain(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if isinstance(value, dict):
            return _shaped_object(value, kind)
        return {} if value is None and not optional else value
    origin, arguments = get_origin(kind), get_args(kind)
    if value is None:
        return None if optional else _zero(origin or kind)
    if origin is dict and isinstance(value, dict):
        return {key: _shaped(item, arguments[1]) for key, item in value.items()}
    if origin is list and isinstance(value, list):
        return [_shaped(item, arguments[0]) for item in value]
    if origin is tuple and isinstance(value, list) and Ellipsis not in arguments:
        # Go's arrays take what is there: too many are dropped, missing ones are zero.
        return [
            _shaped(value[i] if i < len(value) else None, argument) for i, argument in enumerate(arguments)
        ]
    return value


def _shaped_object(value: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    fields = _keys.get(kind)
    if fields is None:
        fields = {field.encode_name.lower(): field for field in msgspec.structs.fields(kind)}
        _keys[kind] = fields
    found: dict[str, Any] = {}
    for key, item in value.items():
        field = fields.get(key.lower())
        if field is not None and item is not None:
            found[field.encode_name] = _shaped(item, field.type)
    return found


def _plain(kind: Any) -> tuple[Any, bool]:
    """The type without `| None` and without its limits, and whether None was allowed."""
    optional = False
    if get_origin(kind) in (Union, types.UnionType):
        rest = [part for part in get_args(kind) if part is not type(None)]
        optional = len(rest) < len(get_args(kind))
        kind = rest[0] if len(rest) == 1 else Any
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return kind, optional


def _zero(kind: Any) -> Any:
    return kind() if kind in (str, int, float, bool, dict, list) else None


def _syntax_error(error: Exception, body: bytes) -> InvalidParameter:
    text = str(error)
    if isinstance(error, RecursionError):
        return InvalidParameter("invalid JSON: exceeded max depth")
    if "truncated" in text:
        return InvalidParameter("invalid JSON: unexpected EOF")
    match = _SYNTAX.search(text)
    if match is None:
        return InvalidParameter(f"invalid JSON: {text}")
    if match["what"] == "trailing characters":
        return InvalidParameter("unexpected content after JSON")
    at = int(match["at"])
    found = body[at : at + 1].decode(errors="replace")
    said = _GO_WORDS.get(match["what"], f"({match['what']} at byte {at})")
    return InvalidParameter(f"invalid JSON: invalid character '{found}' {said}")


def _type_error(error: msgspec.ValidationError, kind: Any) -> InvalidParameter:
    match = _MISMATCH.fullmatch(str(error))
    if match is None and (range_ := _RANGE.fullmatch(str(error))) is not None:
        where = re.sub(r"\[[^]]*\]", "", range_["path"])
        what = f"cannot unmarshal number into Go struct field {kind.__name__}.{where} of type int64"
        return InvalidParameter(f"invalid JSON: json: {what}")
    if match is None:
        return InvalidParameter(f"invalid JSON: json: {error}")
    got = _GO_VALUES.get(match["got"], match["got"])
    wanted = match["wanted"].removesuffix(" | null")
    wanted = _GO_TYPES.get(wanted, wanted)
    if not match["path"]:
        name = kind.__name__ if isinstance(kind, type) else "map"
        return InvalidParameter(f"invalid JSON: json: cannot unmarshal {got} into Go value of type {name}")
    path = re.sub(r"\[[^]]*\]", "", match["path"])
    where = f"{kind.__name__}.{path}" if isinstance(kind, type) else path
    return InvalidParameter(
        f"invalid JSON: json: cannot unmarshal {got} into Go struct field {where} of type {wanted}"
    )
