"""The words of mount(8)."""

from __future__ import annotations

import pytest

from moby.host.mounting.options import (
    MS_BIND,
    MS_NODEV,
    MS_NOSUID,
    MS_RDONLY,
    MS_REC,
    MS_RELATIME,
    MS_SLAVE,
    parse_options,
)


@pytest.mark.parametrize(
    ("words", "flags", "data", "propagation"),
    [
        pytest.param((), 0, "", 0, id="none"),
        pytest.param(("nosuid", "nodev", "size=64k", "mode=755"), MS_NOSUID | MS_NODEV, "size=64k,mode=755", 0, id="tmpfs"),
        pytest.param(("rbind", "ro"), MS_BIND | MS_REC | MS_RDONLY, "", 0, id="bind"),
        pytest.param(("ro", "rw"), 0, "", 0, id="last-counts"),
        pytest.param(("rbind", "rslave"), MS_BIND | MS_REC, "", MS_SLAVE | MS_REC, id="propagation"),
        pytest.param(("defaults", "_netdev", "x-systemd.automount", "relatime", ""), MS_RELATIME, "", 0, id="ignored"),
        pytest.param(("addr=1.2.3.4", "nfsvers=4"), 0, "addr=1.2.3.4,nfsvers=4", 0, id="nfs"),
    ],
)  # fmt: skip
def test_words_become_flags_and_data(words: tuple[str, ...], flags: int, data: str, propagation: int) -> None:
    assert parse_options(words) == (flags, data, propagation)
