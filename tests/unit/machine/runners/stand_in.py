"""A program that stands for qemu: it opens the same socket, and ends when its button is pushed for the second time."""

from __future__ import annotations

import json
import socket
import sys
import threading


def serve(connection: socket.socket, pushed: list[int], stubborn: bool, end: threading.Event) -> None:
    lines = connection.makefile("rwb")
    lines.write(json.dumps({"QMP": {}}).encode() + b"\n")
    lines.flush()
    for line in lines:
        asked = json.loads(line)["execute"]
        if asked == "nonsense":
            answer: dict[str, object] = {"error": {"class": "CommandNotFound", "desc": "no nonsense"}}
        else:
            answer = {"return": {}}
        lines.write(json.dumps({"event": "SOMETHING"}).encode() + b"\n" + json.dumps(answer).encode() + b"\n")
        lines.flush()
        if asked == "system_powerdown" and not stubborn:
            pushed.append(1)
            if len(pushed) > 1:
                end.set()


def main() -> None:
    path, *words = sys.argv[1:]
    if "broken" in words:
        sys.exit("qemu-system-x86_64: -drive file=x: no such disk")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    end, pushed = threading.Event(), [] if "slow" in words else [1]

    def accept() -> None:
        while "silent" not in words:
            connection, _address = listener.accept()
            threading.Thread(
                target=serve, args=(connection, pushed, "stubborn" in words, end), daemon=True
            ).start()

    threading.Thread(target=accept, daemon=True).start()
    end.wait(60)


if __name__ == "__main__":
    main()
