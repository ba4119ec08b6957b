"""The store in containerd does what every store must do."""

from __future__ import annotations

import pytest

from moby.testing.image_stores import ImageStoreSuite

pytestmark = pytest.mark.containerd


@pytest.mark.parametrize("store", ["files", "sent"], indirect=True)
class TestContainerdImages(ImageStoreSuite):
    """The fixture `store` is the folder's own."""
