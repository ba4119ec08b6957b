"""The driver that keeps nothing, held to what every log driver must do."""

from __future__ import annotations

import pytest

from moby.core.logs import LogInfo
from moby.logs.drivers.none import NoLog
from moby.testing.logs import LogDriverSuite


class TestNoLog(LogDriverSuite):
    """The suite."""

    @pytest.fixture
    def driver(self) -> NoLog:
        """The driver."""
        return NoLog()

    def test_it_neither_writes_nor_reads(self, driver: NoLog, info: LogInfo) -> None:
        """There is no half of it."""
        assert driver.writer(info) is None
        assert driver.reader(info) is None
