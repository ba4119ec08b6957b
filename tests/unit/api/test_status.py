"""This file is about the one table of statuses."""

from __future__ import annotations

import inspect

from moby.api.status import STATUS, status_of
from moby.core import errors


def test_every_class_has_a_status() -> None:
    classes = {
        item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, errors.MobyError)
    }
    assert classes == set(STATUS)


def test_nearest_class_counts() -> None:
    class Own(errors.NotFound):
        pass

    assert status_of(Own("x")) == 404
    assert status_of(ValueError("x")) == 500
