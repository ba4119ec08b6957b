"""A name asked for 1,000 times a second by one container."""

from __future__ import annotations

import socket
import statistics
import struct
import threading
import time

from bench.measurement import Measurement
from bench.networks import OTHER, end, namespace, two
from bench.place import Side
from tests.clients.engine import setns

RATE, COUNT = 1000, 2000
SERVER = ("127.0.0.11", 53)


def question(number: int, name: str) -> bytes:
    """A query for a name's IPv4 address."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)


def ask(namespace_file: str, name: str, took: list[float]) -> None:
    """Ask at an even rate, each query by a socket of its own as programs do; in a thread that ends."""
    with open(namespace_file, "rb") as inside:
        setns(inside.fileno())
    due = time.perf_counter()
    for number in range(COUNT):
        due += 1 / RATE
        if (rest := due - time.perf_counter()) > 0:
            time.sleep(rest)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.connect(SERVER)
            began = time.perf_counter()
            client.send(question(number, name))
            answer = client.recv(512)
            took.append((time.perf_counter() - began) * 1e6)
        assert answer[6:8] == b"\0\1", answer


def latency(side: Side) -> float:
    """The median of the time to an answer, in microseconds."""
    took: list[float] = []
    client = threading.Thread(target=ask, args=(str(namespace(side, OTHER)), "bench-one", took))
    client.start()
    client.join()
    assert len(took) == COUNT, "a query was not answered"
    return statistics.median(took)


MEASUREMENTS = (Measurement("dns-p50", "us", latency, rounds=5, goal=0.8, prepare=two, tidy=end),)
