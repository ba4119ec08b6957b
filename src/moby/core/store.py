"""This file is about the state store: where what was acknowledged is kept over a crash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, Protocol, TypeVar

import msgspec

from moby.core.errors import DataLoss

T = TypeVar("T")


class Store(Protocol):
    """Keeps JSON documents by table and key.

    Life: opened once at start by the framework, closed last. Every write is on disk when the call returns
    (a crash of this process or of the machine after that loses nothing). Writes that come in while another
    is under way may share its commit. Cancellation: after a cancelled write the document either has its old
    or its new value, never a torn one.
    """

    async def save(self, table: str, key: str, document: bytes) -> None:
        """Write `document` (JSON) under `key`, replacing what was there."""
        ...

    async def delete(self, table: str, key: str) -> None:
        """Remove `key`; no error if it is not there."""
        ...

    async def load(self, table: str) -> Mapping[str, bytes]:
        """Every document of a table by key."""
        ...


class Table(Generic[T]):
    """One table of a store, read and written as values of one type."""

    def __init__(self, store: Store, name: str, kind: type[T]) -> None:
        self._store = store
        self._name = name
        self._kind = kind
        self._encoder = msgspec.json.Encoder()

    async def save(self, key: str, value: T) -> None:
        """Write `value` under `key`; it is on disk when this returns."""
        await self._store.save(self._name, key, self._encoder.encode(value))

    async def delete(self, key: str) -> None:
        """Remove `key`; no error if it is not there."""
        await self._store.delete(self._name, key)

    async def load(self) -> dict[str, T]:
        """Every value by key. Raises DataLoss, naming the key, if one does not decode."""
        documents = await self._store.load(self._name)
        if not documents:
            return {}
        # Only now: a decoder of a large type takes milliseconds to make.
        decoder = msgspec.json.Decoder(self._kind)
        values = {}
        for key, document in documents.items():
            try:
                values[key] = decoder.decode(document)
            except msgspec.MsgspecError as error:
                raise DataLoss(f"stored {self._name} record {key} is corrupt: {error}") from error
        return values
