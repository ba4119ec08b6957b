"""Which of several errors a client hears of."""

from __future__ import annotations

from moby.core.errors import Conflict, NotFound, first_error


def test_what_tells_a_client_something_comes_first() -> None:
    told, later = NotFound("No such image: x"), Conflict("in use")
    inner = ExceptionGroup("inner", [ValueError("a"), told, later])
    assert first_error(ExceptionGroup("outer", [OSError("b"), inner])) is told
    assert first_error(ExceptionGroup("outer", [later, inner])) is later


def test_where_nothing_does_it_is_the_first() -> None:
    inner = ExceptionGroup("inner", [ValueError("a")])
    assert first_error(ExceptionGroup("outer", [inner, OSError("b")])) is inner
