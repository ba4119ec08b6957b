"""The store in memory does what every store must do."""

from __future__ import annotations

import pytest

from moby.core.images import ImageStore
from moby.testing.image_stores import ImageStoreSuite
from moby.testing.images import MemoryImages


class TestMemoryImages(ImageStoreSuite):
    @pytest.fixture
    def store(self) -> ImageStore:
        return MemoryImages()
