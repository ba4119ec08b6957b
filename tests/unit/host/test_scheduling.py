"""Who comes first."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from moby.host.scheduling import come_first

_SCRIPT = """
import os, sys, threading
sys.path[:0] = sys.argv[1:]
from moby.host.scheduling import come_first
def nice(): return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
assert come_first()
seen = [nice()]
thread = threading.Thread(target=lambda: seen.append(nice()))
thread.start()
thread.join()
child = os.popen("nice")
seen.append(int(child.read()))
child.close()
print(seen)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_what_comes_of_it_is_as_all_others() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *sys.path], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[-10, 0, 0]\n"


def test_a_machine_that_nobody_knows_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "x", "6", "1", "odd")))
    assert not come_first()
