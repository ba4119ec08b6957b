"""A whole engine on roots and a network namespace of its own, driven from outside as users drive it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar

from docker import DockerClient

from tests.leftovers import Leftovers, in_namespace, links, mounts, mounts_of, processes, tables

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
# Debian's own docker command may lie beside a newer one; the first on the path is used, as a user would.
DOCKER = shutil.which("docker") or "docker"


@dataclasses.dataclass(frozen=True)
class Result:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit code {self.code}\nstdout: {self.out}\nstderr: {self.err}"


class Network:
    """A network namespace with nothing but a loopback device: engines in two of them never meet."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = Path("/run/netns") / name
        # Not `ip netns exec`: that mounts another /sys, without the cgroups.
        self.enter = ("nsenter", f"--net={self.path}")

    def __enter__(self) -> Self:
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        subprocess.run(["ip", "-n", self.name, "link", "set", "lo", "up"], check=True)
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["ip", "netns", "delete", self.name], check=True)

    def connect(self, port: int, host: str = "127.0.0.1", timeout: float = 5) -> socket.socket:
        """A TCP connection made inside the namespace, by a thread that enters it and ends."""
        return within(self.path, lambda: socket.create_connection((host, port), timeout=timeout))

    def get(self, port: int, limit_s: float = 30) -> str:
        """What a web server inside says, when it listens at last."""
        deadline = time.monotonic() + limit_s
        while True:
            try:
                with self.connect(port) as connection:
                    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    answer = b"".join(iter(lambda: connection.recv(65536), b""))
                return answer.partition(b"\r\n\r\n")[2].decode()
            except (ConnectionRefusedError, ConnectionResetError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


def fetch(network: Network, host: str, port: int = 80, limit: float = 10) -> str:
    """What the server at an address says; it needs a moment after its start."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), network.connect(port, host, timeout=1) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            if text := connection.recv(1000):
                return text.decode()
        time.sleep(0.05)
    return ""


def within(namespace: Path, function: Callable[[], T]) -> T:
    """Runs a function in a network namespace, by a thread that enters it and ends."""

    def enter() -> T:
        with namespace.open("rb") as file:
            setns(file.fileno())
        return function()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(enter).result()


def setns(descriptor: int) -> None:
    """Moves the calling thread into a network namespace (Python has `os.setns` from 3.12 on)."""
    import ctypes

    clone_newnet = 0x40000000
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, clone_newnet) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def command(kind: str) -> list[str]:
    """The program that is the engine: ours, or Docker's own to hold the tests themselves to."""
    if kind == "dockerd":
        return ["/usr/sbin/dockerd"]
    return [sys.executable, "-m", "moby.cli.mobyd"]


class Engine:
    """One daemon from its start to its end. What it has on disk survives `stop` and `kill`, until `remove`."""

    def __init__(
        self,
        root: Path,
        network: Network,
        kind: str = "mobyd",
        arguments: Sequence[str] = (),
        packages: Path | None = None,
    ) -> None:
        self.root = root
        self.packages = packages
        self.network = network
        self.kind = kind
        self.arguments = list(arguments)
        self.socket = root / "moby.sock"
        self.address = f"unix://{self.socket}"
        self.log = root / "daemon.log"
        self._process: subprocess.Popen[bytes] | None = None
        (root / "client").mkdir(parents=True, exist_ok=True)

    @property
    def plugins(self) -> Path:
        """Where plugins have their sockets."""
        return self.root / "plugins" if self.kind == "mobyd" else Path("/run/docker/plugins")

    @property
    def _plugin_flags(self) -> Sequence[str]:
        """dockerd's places are fixed; and it waits a quarter of a minute for a name that is none."""
        if self.kind != "mobyd":
            return ()
        specs = str(self.root / "specs")
        return "--plugin-sockets", str(self.plugins), "--plugin-specs", specs, "--plugin-wait", "1"

    # life

    def start(self, wait: bool = True) -> None:
        """Starts the daemon, and waits until it answers."""
        environment = os.environ | {
            "PYTHONPATH": str(ROOT / "src") + (f":{self.packages}" if self.packages else ""),
            "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin",
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self.network.enter,
                    *command(self.kind),
                    "--host", self.address,
                    "--data-root", str(self.root / "data"),
                    "--exec-root", str(self.root / "exec"),
                    "--pidfile", str(self.root / "daemon.pid"),
                    "--insecure-registry", "127.0.0.1:5005",
                    *self._plugin_flags,
                    *self.arguments,
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True,
            )  # fmt: skip
        if wait:
            self.wait_ready()

    def wait_ready(self, timeout: float = 60) -> None:
        """Returns when `/_ping` answers."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                raise RuntimeError(f"the daemon ended with {self._process.returncode}:\n{self.tail()}")
            with contextlib.suppress(OSError):
                if b"OK" in self.raw(b"GET /_ping HTTP/1.0\r\n\r\n", timeout=5):
                    return
            time.sleep(0.005)
        raise RuntimeError(f"the daemon does not answer:\n{self.tail()}")

    def stop(self, timeout: float = 60) -> int:
        """Ends the daemon as an init system does; its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(timeout)
        self._process = None
        return code

    def kill(self) -> None:
        """Ends the daemon as a crash does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)
        self._process = None

    def remove(self) -> None:
        """Ends the daemon with everything it started, and deletes its files; for the end of a test, whatever it did."""
        if self._process is not None and self._process.poll() is None:
            self.docker_quietly("ps", "--all", "--quiet", then=("rm", "--force", "--volumes"))
            try:
                self.stop(30)
            except subprocess.TimeoutExpired:
                self.kill()
        for line in processes(str(self.root)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(line.partition(":")[0]), signal.SIGKILL)
        for point in sorted(mounts(str(self.root)) | mounts_of(str(self.root)), reverse=True):
            subprocess.run(["umount", "--lazy", point], check=False)
        shutil.rmtree(self.root, ignore_errors=True)

    def crashed(self) -> bool:
        """Has the daemon ended by itself?"""
        return self._process is not None and self._process.poll() is not None

    @property
    def pid(self) -> int:
        """The daemon's own process."""
        assert self._process is not None
        return self._process.pid

    @property
    def containerd(self) -> int:
        """The process of the containerd that the daemon manages."""
        found = [
            line
            for line in processes(str(self.root / "exec"))
            if "shim" not in line and "containerd " in line
        ]
        assert len(found) == 1, found
        return int(found[0].partition(":")[0])

    def leftovers(self) -> Leftovers:
        """What there is of ours in the kernel: nothing, after a stop without containers."""
        return Leftovers(
            # dockerd keeps its host namespace mounted.
            mounts=mounts(str(self.root) + "/") - {str(self.root / "exec/netns/default")},
            links=frozenset(name for name in links(self.network.enter) if name.startswith(("veth", "vx"))),
            tables=frozenset() if self.kind == "dockerd" else tables(self.network.enter),
            processes=in_namespace(self.network.path) | processes(str(self.root)),
        )

    def tail(self, lines: int = 40) -> str:
        """The end of the daemon's log."""
        return (
            "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""
        )

    # clients

    @property
    def environment(self) -> Mapping[str, str]:
        """What a docker command needs to find this engine, and no other's settings."""
        return os.environ | {"DOCKER_HOST": self.address, "DOCKER_CONFIG": str(self.root / "client")}

    def docker(self, *arguments: str | Path, input: str | None = None, timeout: float = 60) -> Result:  # noqa: A002
        """Runs the docker command, whatever its exit code."""
        done = subprocess.run(
            [DOCKER, *map(str, arguments)],
            input=input, stdin=None if input is not None else subprocess.DEVNULL,
            capture_output=True, text=True, timeout=timeout, env=self.environment, check=False,
        )  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str | Path, input: str | None = None, timeout: float = 60) -> str:  # noqa: A002
        """Runs the docker command, which must succeed; what it printed, without space around it."""
        result = self.docker(*arguments, input=input, timeout=timeout)
        assert result.code == 0, f"docker {' '.join(map(str, arguments))}: {result}\n{self.tail(10)}"
        return result.out.strip()

    def fails(self, *arguments: str | Path, code: int = 1, timeout: float = 60) -> str:
        """Runs the docker command, which must fail with this code; what it said."""
        result = self.docker(*arguments, timeout=timeout)
        assert result.code == code, f"docker {' '.join(map(str, arguments))}: {result}"
        return result.err.strip()

    def docker_quietly(self, *arguments: str, then: tuple[str, ...]) -> None:
        """Feeds the lines of one command to another, as `xargs --no-run-if-empty` does; failure is no matter."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            if names := self.docker(*arguments).out.split():
                self.docker(*then, *names)

    @contextlib.contextmanager
    def spawn(self, *arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
        """A docker command that runs on beside the test; ended with it."""
        options = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        } | options
        with subprocess.Popen([DOCKER, *arguments], text=True, env=self.environment, **options) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()

    @contextlib.contextmanager
    def client(self, timeout: float = 60) -> Iterator[DockerClient]:
        """The client of docker-py."""
        client = DockerClient(base_url=f"unix://{self.socket}", timeout=timeout)
        try:
            yield client
        finally:
            client.close()

    def raw(self, request: bytes, timeout: float = 30) -> bytes:
        """Sends bytes to the API and returns all that comes back, for requests that no client would make."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(str(self.socket))
            # Who is refused while it still sends reads why, as clients do.
            with contextlib.suppress(BrokenPipeError):
                connection.sendall(request)
            answer = bytearray()
            with contextlib.suppress(ConnectionResetError):
                while chunk := connection.recv(65536):
                    answer += chunk
        return bytes(answer)
