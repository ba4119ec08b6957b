"""Who comes first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="needs sessions that have shares")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("leads", [True, False])
def test_a_session_comes_first_for_who_leads_it(leads: bool) -> None:
    script = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from moby.host.scheduling import session_comes_first\n"
        "print(session_comes_first(), open('/proc/self/autogroup').read().endswith('nice -10\\n'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *sys.path],
        start_new_session=leads, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == f"{leads} {leads}\n"


def test_a_machine_that_nobody_knows_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "x", "6", "1", "odd")))
    assert not come_first()
