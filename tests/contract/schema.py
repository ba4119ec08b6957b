"""This file is about holding an answer against the API definition (Swagger 2, as much of it as is used there)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

DEFINITION: dict[str, Any] = msgspec.json.decode((Path(__file__).parent / "v1.55.json").read_bytes())

_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
}


def operations() -> dict[str, dict[str, Any]]:
    """Every operation by its name, with its path and method put in."""
    return {
        operation["operationId"]: {**operation, "path": path, "method": method.upper()}
        for path, methods in DEFINITION["paths"].items()
        for method, operation in methods.items()
    }


def answer_schema(operation: str, status: int) -> dict[str, Any] | None:
    """What an answer with this status looks like; None if the definition does not say."""
    responses = operations()[operation]["responses"]
    assert str(status) in responses, f"{operation} does not answer {status}"
    schema: dict[str, Any] | None = responses[str(status)].get("schema")
    return schema


def problems(value: Any, schema: dict[str, Any], path: str = "$") -> Iterator[str]:
    """Where `value` is not as `schema` says.

    Null stands for any list or map and
    an empty text for any choice, as Go has them."""
    schema = _resolved(schema)
    kind = schema.get("type", "object" if "properties" in schema else "")
    if value is None:
        if not (schema.get("x-nullable") or kind in ("array", "object", "")):
            yield f"{path}: null is no {kind}"
        return
    expected = _TYPES.get(kind)
    if expected is not None and (
        not isinstance(value, expected) or (isinstance(value, bool) and kind != "boolean")
    ):
        yield f"{path}: {value!r} is no {kind}"
        return
    if "enum" in schema and value not in ("", *schema["enum"]):
        yield f"{path}: {value!r} is none of {schema['enum']}"
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from problems(item, schema.get("items", {}), f"{path}[{index}]")
    if isinstance(value, dict):
        yield from _object_problems(value, schema, path)


def _object_problems(value: dict[str, Any], schema: dict[str, Any], path: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    rest = schema.get("additionalProperties")
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}: {name} is missing"
    for name, item in value.items():
        if name in properties:
            yield from problems(item, properties[name], f"{path}.{name}")
        elif isinstance(rest, dict):
            yield from problems(item, rest, f"{path}.{name}")
        elif properties:
            yield f"{path}: there is no {name}"


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with references followed and the parts of `allOf` put together."""
    while "$ref" in schema:
        target: Any = DEFINITION
        for word in schema["$ref"].removeprefix("#/").split("/"):
            target = target[word]
        schema = {**target, **{key: item for key, item in schema.items() if key != "$ref"}}
    if "allOf" in schema:
        merged: dict[str, Any] = {key: item for key, item in schema.items() if key != "allOf"}
        merged["properties"] = dict(schema.get("properties", {}))
        for part in map(_resolved, schema["allOf"]):
            merged["properties"] |= part.get("properties", {})
            merged["required"] = [*merged.get("required", ()), *part.get("required", ())]
            for key in ("type", "additionalProperties", "enum"):
                if key in part:
                    merged.setdefault(key, part[key])
        return merged
    return schema
