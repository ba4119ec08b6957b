"""This file is about what every volume driver must do: subclass `VolumeDriverSuite` and give it a driver."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import ClassVar

import pytest

from moby.core.errors import Conflict, InvalidParameter, MobyError, NotFound
from moby.core.volumes import VolumeDriver


class VolumeDriverSuite:
    """A fixture `driver` gives the driver, with no volumes; the tests remove those that they make.

    `refused` and `in_use` are what it raises for an option that it does not know, and for the removal of what
    is mounted: a driver that only passes on another's words cannot tell what they mean.
    """

    refused: ClassVar[type[MobyError]] = InvalidParameter
    in_use: ClassVar[type[MobyError]] = Conflict

    async def remove(self, driver: VolumeDriver, *names: str) -> None:
        """Take volumes away, whatever state they are in."""
        for name in names:
            for user in ("one", "two"):
                await driver.unmount(name, user)
            with contextlib.suppress(NotFound):
                await driver.remove(name)

    async def test_a_created_volume_is_found(self, driver: VolumeDriver) -> None:
        """By its name, and in the list."""
        made = await driver.create("alpha", {})
        try:
            assert (made.name, (await driver.get("alpha")).name) == ("alpha", "alpha")
            assert [volume.name for volume in await driver.list()] == ["alpha"]
        finally:
            await self.remove(driver, "alpha")
        assert await driver.list() == []

    async def test_creating_again_changes_nothing(self, driver: VolumeDriver) -> None:
        """What is in it stays."""
        await driver.create("alpha", {})
        try:
            (await driver.mount("alpha", "one") / "file").write_text("kept")
            await driver.create("alpha", {})
            assert (await driver.mount("alpha", "one") / "file").read_text() == "kept"
        finally:
            await self.remove(driver, "alpha")

    async def test_users_share_what_is_mounted(self, driver: VolumeDriver) -> None:
        """And the data outlives them all."""
        await driver.create("alpha", {})
        try:
            first, second = await driver.mount("alpha", "one"), await driver.mount("alpha", "two")
            (first / "file").write_text("shared")
            assert (second / "file").read_text() == "shared"
            await driver.unmount("alpha", "one")
            assert (second / "file").read_text() == "shared"
            await driver.unmount("alpha", "two")
            assert (await driver.mount("alpha", "one") / "file").read_text() == "shared"
        finally:
            await self.remove(driver, "alpha")

    async def test_volumes_are_apart(self, driver: VolumeDriver) -> None:
        """What is in one is not in the other."""
        await driver.create("alpha", {})
        await driver.create("beta", {})
        try:
            (await driver.mount("alpha", "one") / "file").write_text("alpha's")
            found: Path = await driver.mount("beta", "one")
            assert list(found.iterdir()) == []
        finally:
            await self.remove(driver, "alpha", "beta")

    async def test_a_volume_in_use_is_not_removed(self, driver: VolumeDriver) -> None:
        """Until its last user has gone; unmounting twice is no error."""
        await driver.create("alpha", {})
        try:
            await driver.mount("alpha", "one")
            with pytest.raises(self.in_use):
                await driver.remove("alpha")
            await driver.unmount("alpha", "one")
            await driver.unmount("alpha", "one")
            await driver.remove("alpha")
            with pytest.raises(NotFound):
                await driver.get("alpha")
        finally:
            await self.remove(driver, "alpha")

    async def test_what_is_not_there_is_not_found(self, driver: VolumeDriver) -> None:
        """For every question; an unmount has nothing to say."""
        with pytest.raises(NotFound):
            await driver.get("nothing")
        with pytest.raises(NotFound):
            await driver.mount("nothing", "one")
        with pytest.raises(NotFound):
            await driver.remove("nothing")
        await driver.unmount("nothing", "one")

    async def test_unknown_options_are_refused(self, driver: VolumeDriver) -> None:
        """And no part of a volume is left."""
        with pytest.raises(self.refused):
            await driver.create("alpha", {"nonsense": "1"})
        assert await driver.list() == []

    async def test_many_at_once(self, driver: VolumeDriver) -> None:
        """The same name from several sides is one volume."""
        await asyncio.gather(*(driver.create(name, {}) for name in ("alpha", "beta") * 8))
        try:
            paths = await asyncio.gather(*(driver.mount("alpha", user) for user in ("one", "two") * 8))
            assert len(set(paths)) == 1
            assert sorted(volume.name for volume in await driver.list()) == ["alpha", "beta"]
        finally:
            await self.remove(driver, "alpha", "beta")
