"""This file is about `docker wait`: who waits for a container, and for what."""

from __future__ import annotations

from moby.core.errors import InvalidParameter
from moby.core.types.containers import ContainerWaitResponse
from moby.engine.containers.container import Condition, Container
from moby.engine.containers.shelf import Shelf


class Wait:
    """One wait, registered when it is made: nothing that happens between that and `result()` is missed."""

    def __init__(self, container: Container, condition: Condition) -> None:
        self._container = container
        self._future = container.waiter(condition)

    async def result(self) -> ContainerWaitResponse:
        """The exit code, once the condition is met. Raises MobyError if a removal has failed."""
        try:
            code = await self._future
        finally:
            self._container.forget(self._future)
        return ContainerWaitResponse(status_code=code)


def wait(shelf: Shelf, name: str, condition: str) -> Wait:
    """Begin to wait. Raises NotFound, and InvalidParameter for an unknown condition."""
    container = shelf.find(name)
    match condition:
        case "" | "not-running":
            return Wait(container, "not-running")
        case "next-exit":
            return Wait(container, "next-exit")
        case "removed":
            return Wait(container, "removed")
        case _:
            raise InvalidParameter(f'invalid condition: "{condition}"')
