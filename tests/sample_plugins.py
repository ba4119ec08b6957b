"""Sample plugins, as people write them: a web server on a unix socket. Each runs as a process of its own, or in a thread.

`python -m tests.sample_plugins KIND SOCKET STATE` serves a kind of plugin; `STATE` is a directory of its own. What the file
`mood.json` there says of a method happens instead of the method: `hang`, `die` (the connection breaks), `garbage`, `refuse`.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import json
import os
import re
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Self

Handler = Callable[[dict[str, Any]], Any]
ROOT = Path(__file__).resolve().parents[1]


class Sample:
    """A plugin's methods by name, and what it was asked."""

    def __init__(self, state: Path, implements: list[str], methods: Mapping[str, Handler]) -> None:
        state.mkdir(parents=True, exist_ok=True)
        self.state = state
        self.methods = {"Plugin.Activate": lambda _: {"Implements": implements}, **methods}
        self._lock = threading.Lock()

    def mood(self, method: str) -> str:
        """What is to happen instead of a method, if anything is."""
        with contextlib.suppress(FileNotFoundError):
            return str(json.loads((self.state / "mood.json").read_text()).get(method, ""))
        return ""

    def note(self, method: str, request: dict[str, Any]) -> None:
        """Writes down what was asked."""
        with self._lock, (self.state / "calls.jsonl").open("a") as file:
            file.write(json.dumps({"method": method, "request": request}) + "\n")


class Handling(BaseHTTPRequestHandler):
    """One call."""

    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "daemon"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return

    def do_POST(self) -> None:
        assert isinstance(self.server, Server)
        sample, method = self.server.sample, self.path.lstrip("/")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = json.loads(body) if body.strip() else {}
        sample.note(method, request)
        match sample.mood(method):
            case "hang":
                self.server.ended.wait(120)
                return
            case "die":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            case "garbage":
                self._answer(200, b'{"Err": [')
                return
            case "refuse":
                self._answer(500, json.dumps({"Err": "not today"}).encode())
                return
            case _:
                self._do(sample, method, request)

    def _do(self, sample: Sample, method: str, request: dict[str, Any]) -> None:
        if method not in sample.methods:
            self._answer(404, b"404 page not found\n")
            return
        answer = sample.methods[method](request)
        if isinstance(answer, Iterator):
            self._stream(answer)
            return
        self._answer(200, json.dumps(answer).encode())

    def _answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.docker.plugins.v1.2+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, pieces: Iterator[bytes]) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with contextlib.suppress(OSError):
            for piece in pieces:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Serves a sample on a unix socket, from a thread; a context manager."""

    daemon_threads = True
    request_queue_size = 128
    block_on_close = False

    def __init__(self, path: Path, sample: Sample) -> None:
        self.sample = sample
        self.path = path
        self.ended = threading.Event()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        super().__init__(str(path), Handling)

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.shutdown()
        self.server_close()
        self.path.unlink(missing_ok=True)

    def handle_error(self, request: object, client_address: object) -> None:
        """A daemon that hangs up is no news."""


def volumes(state: Path) -> Sample:
    """Volumes as directories below the state; `mounts` in a volume's record counts its users."""
    lock = threading.Lock()

    def record(name: str) -> Path:
        return state / f"{name}.json"

    def load(name: str) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(record(name).read_text())
        return loaded

    def shown(name: str) -> dict[str, Any]:
        known = load(name)
        return {
            "Name": name,
            "Mountpoint": str(state / "data" / name),
            "CreatedAt": "2020-01-02T03:04:05Z",
            "Status": {"Opts": known["opts"], "Users": sorted(known["users"])},
        }

    def guarded(method: Handler) -> Handler:
        def run(request: dict[str, Any]) -> Any:
            with lock:
                if (
                    request.get("Name") is not None
                    and method is not create
                    and not record(request["Name"]).exists()
                ):
                    return {"Err": f"no volume called {request['Name']}"}
                return method(request)

        return run

    def create(request: dict[str, Any]) -> Any:
        options = request.get("Opts") or {}
        if "nonsense" in options:
            return {"Err": "unknown option nonsense"}
        if not record(request["Name"]).exists():
            (state / "data" / request["Name"]).mkdir(parents=True)
            record(request["Name"]).write_text(json.dumps({"opts": options, "users": []}))
        return {}

    def change(name: str, users: list[str]) -> None:
        record(name).write_text(json.dumps(load(name) | {"users": users}))

    def mount(request: dict[str, Any]) -> Any:
        change(request["Name"], [*load(request["Name"])["users"], request["ID"]])
        return {"Mountpoint": str(state / "data" / request["Name"])}

    def unmount(request: dict[str, Any]) -> Any:
        users = load(request["Name"])["users"]
        if request["ID"] not in users:
            return {"Err": f"{request['ID']} has not mounted it"}
        users.remove(request["ID"])
        change(request["Name"], users)
        return {}

    def remove(request: dict[str, Any]) -> Any:
        if load(request["Name"])["users"]:
            return {"Err": "somebody has mounted it"}
        record(request["Name"]).unlink()
        for path in (state / "data" / request["Name"]).iterdir():
            path.unlink()
        (state / "data" / request["Name"]).rmdir()
        return {}

    def every(_: dict[str, Any]) -> Any:
        names = [path.stem for path in state.glob("*.json") if path.stem != "mood"]
        return {"Volumes": [{"Name": name, "Mountpoint": str(state / "data" / name)} for name in names]}

    methods = {
        "Create": create,
        "Remove": remove,
        "Mount": mount,
        "Unmount": unmount,
        "Path": lambda request: {"Mountpoint": str(state / "data" / request["Name"])},
        "Get": lambda request: {"Volume": shown(request["Name"])},
        "List": every,
        "Capabilities": lambda _: {"Capabilities": {"Scope": "global"}},
    }
    return Sample(
        state, ["VolumeDriver"], {f"VolumeDriver.{name}": guarded(method) for name, method in methods.items()}
    )


def authorization(state: Path) -> Sample:
    """Denies what `policy.json` in the state has patterns for: `request`, `body`, `response`, `user`."""

    def policy(key: str) -> str:
        with contextlib.suppress(FileNotFoundError):
            return str(json.loads((state / "policy.json").read_text()).get(key, ""))
        return ""

    def verdict(key: str, text: str) -> dict[str, Any]:
        pattern = policy(key)
        if pattern and re.search(pattern, text):
            return {"Allow": False, "Msg": f"no {key} like that"}
        return {"Allow": True}

    def request(asked: dict[str, Any]) -> dict[str, Any]:
        body = base64.b64decode(asked.get("RequestBody", "")).decode()
        for key, text in (
            ("request", f"{asked['RequestMethod']} {asked['RequestUri']}"),
            ("body", body),
            ("user", asked.get("User", "")),
        ):
            if not (found := verdict(key, text))["Allow"]:
                return found
        return {"Allow": True}

    def response(asked: dict[str, Any]) -> dict[str, Any]:
        body = base64.b64decode(asked.get("ResponseBody", "")).decode()
        return verdict(
            "response", f"{asked['RequestMethod']} {asked['RequestUri']} {asked['ResponseStatusCode']} {body}"
        )

    return Sample(state, ["authz"], {"AuthZPlugin.AuthZReq": request, "AuthZPlugin.AuthZRes": response})


def logs(state: Path) -> Sample:
    """Keeps each container's entries as they came, and gives them back with newlines; not if there is a file `mute`."""
    reading: dict[str, threading.Thread] = {}
    ended: set[str] = set()

    def read(path: str, target: Path) -> None:
        with open(path, "rb", buffering=0) as fifo, target.open("ab", buffering=0) as file:
            while data := fifo.read(65536):
                file.write(data)

    def start(request: dict[str, Any]) -> Any:
        if "wrong" in request["Info"]["Config"]:
            return {"Err": "unknown option wrong"}
        target = state / f"{request['Info']['ContainerID']}.log"
        ended.discard(target.stem)
        reading[request["File"]] = threading.Thread(target=read, args=(request["File"], target), daemon=True)
        reading[request["File"]].start()
        return {}

    def stop(request: dict[str, Any]) -> Any:
        ended.add(Path(request["File"]).name)
        return {}

    def frames(data: bytes) -> Iterator[bytes]:
        while data:
            size = int.from_bytes(data[:4], "big")
            yield data[4 : 4 + size]
            data = data[4 + size :]

    def give(request: dict[str, Any]) -> Iterator[bytes]:
        target, sent = state / f"{request['Info']['ContainerID']}.log", 0
        while True:
            over = target.stem in ended
            data = target.read_bytes() if target.exists() else b""
            for number, entry in enumerate(frames(data)):
                if number >= sent:
                    # A field of a message may come twice, the last one counts: the line once more, with a newline.
                    line = re.search(rb"\x1a([\x00-\x7f])", entry)
                    assert line is not None
                    text = entry[line.end() : line.end() + line[1][0]] + b"\n"
                    whole = entry + b"\x1a%c%b" % (len(text), text)
                    yield len(whole).to_bytes(4, "big") + whole
                    sent += 1
            if over or not request["Config"]["Follow"]:
                return
            time.sleep(0.01)

    methods: dict[str, Handler] = {
        "LogDriver.StartLogging": start,
        "LogDriver.StopLogging": stop,
        "LogDriver.Capabilities": lambda _: {"Cap": {"ReadLogs": not (state / "mute").exists()}},
        "LogDriver.ReadLogs": give,
    }
    return Sample(state, ["LogDriver"], methods)


def _networks() -> Any:
    """Those for networks are many, and need root."""
    return importlib.import_module("tests.sample_network_plugins")


KINDS: dict[str, Callable[[Path], Sample]] = {
    "authorization": authorization,
    "addresses": lambda state: _networks().addresses(state),
    "logs": logs,
    "networks": lambda state: _networks().networks(state),
    "volumes": volumes,
}


class Process:
    """A sample plugin as a process; `state` is its directory, `enter` what runs it elsewhere. A context manager."""

    def __init__(self, kind: str, path: Path, state: Path, enter: Sequence[str] = ()) -> None:
        self.kind, self.path, self.state, self.enter = kind, path, state, enter
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.path.unlink(missing_ok=True)

    def start(self) -> None:
        """Returns when it listens."""
        self._process = subprocess.Popen(
            [
                *self.enter,
                sys.executable,
                "-m",
                "tests.sample_plugins",
                self.kind,
                str(self.path),
                str(self.state),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        with self._process.stdout as ready:
            assert ready.readline() == b"ready\n"

    def stop(self) -> None:
        """As a crash does; its socket stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def feel(self, **moods: str) -> None:
        """Have methods (`VolumeDriver_Get`) go wrong."""
        self.state.mkdir(parents=True, exist_ok=True)
        (self.state / "mood.json").write_text(
            json.dumps({name.replace("_", ".", 1): mood for name, mood in moods.items()})
        )

    def calls(self, method: str = "") -> list[dict[str, Any]]:
        """What it was asked, of one method or of all."""
        with contextlib.suppress(FileNotFoundError):
            lines = (self.state / "calls.jsonl").read_text().splitlines()
            found = [json.loads(line) for line in lines]
            return [one for one in found if method in ("", one["method"])]
        return []


if __name__ == "__main__":
    kind, path, state = sys.argv[1:]
    with Server(Path(path), KINDS[kind](Path(state))):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        parent = os.getppid()
        while os.getppid() == parent:
            time.sleep(0.2)
