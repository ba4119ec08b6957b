"""Reports of checks, read as CI servers read them."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from moby.framework.machine import Check
from moby.machine.check_reports import as_junit, as_text
from moby.machine.checking import Result

RESULTS = [
    Result(Check(console="up"), 1.5),
    Result(Check(console='<"&\x1b'), 2.0, "not within 2 s: \x00 <no>"),
]


def test_text_tells_every_check_and_the_last_words_after_a_failure() -> None:
    text = as_text(RESULTS, "\n".join(str(number) for number in range(100)))
    assert text.startswith("ok      console: up\nFAILED  console: ")
    assert text.endswith(
        "the console's last words:\n" + "\n".join(str(each) for each in range(85, 100)) + "\n"
    )
    assert as_text(RESULTS[:1], "words") == "ok      console: up\n"


def test_junit_is_xml_whatever_the_console_shows() -> None:
    suite = ET.fromstring(as_junit(RESULTS, "colour \x1b[1m & ]]> \ufffe", "minimal.yml"))
    assert suite.attrib == {
        "name": "minimal.yml",
        "tests": "2",
        "failures": "1",
        "errors": "0",
        "time": "2.000",
    }
    good, bad = suite.findall("testcase")
    assert good.attrib == {"classname": "minimal.yml", "name": "console: up", "time": "1.500"}
    assert good.find("failure") is None
    failure = bad.find("failure")
    assert failure is not None
    assert failure.attrib["message"] == "not within 2 s: \ufffd <no>"
    assert "colour \ufffd[1m & ]]>" in (suite.findtext("system-out") or "")
