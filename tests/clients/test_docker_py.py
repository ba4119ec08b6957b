"""The same engine through docker-py, which reads answers more strictly than the command does."""

from __future__ import annotations

import gc
import io
import tarfile
from collections.abc import Iterator

import docker
import pytest

from tests.clients.engine import Engine

# docker-py leaves sockets of streams to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Has them collected here, not in a test that is innocent."""
    yield
    gc.collect()


def test_run_returns_the_output(engine: Engine) -> None:
    with engine.client() as client:
        assert client.containers.run("busybox", ["echo", "hello"], remove=True) == b"hello\n"


def test_a_failed_command_raises_with_its_code(engine: Engine) -> None:
    with engine.client() as client:
        with pytest.raises(docker.errors.ContainerError) as caught:
            client.containers.run("busybox", ["sh", "-c", "exit 9"], remove=True)
        assert caught.value.exit_status == 9


def test_life_of_a_container(engine: Engine) -> None:
    with engine.client() as client:
        container = client.containers.create(
            "busybox", ["sh", "-c", "echo out; sleep 60"], name="py", labels={"a": "b"}
        )
        container.start()
        container.reload()
        assert container.status == "running"
        assert container.labels == {"a": "b"}
        assert [found.name for found in client.containers.list(filters={"label": "a=b"})] == ["py"]
        stream = container.logs(stream=True, follow=True)
        assert next(stream) == b"out\n"
        container.kill()
        assert container.wait()["StatusCode"] == 137
        container.remove()
        with pytest.raises(docker.errors.NotFound, match="No such container: py"):
            client.containers.get("py")


def test_attach_over_a_socket(engine: Engine) -> None:
    with engine.client() as client:
        container = client.containers.create("busybox", ["cat"], stdin_open=True, tty=False)
        stream = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
        container.start()
        raw = getattr(stream, "_sock", stream)
        raw.sendall(b"ping\n")
        assert raw.recv(100) == b"\x01\x00\x00\x00\x00\x00\x00\x05ping\n"
        stream.close()
        container.remove(force=True)


def test_images_are_listed_and_loaded(engine: Engine) -> None:
    with engine.client() as client:
        image = client.images.get("busybox")
        assert image.tags == ["busybox:latest"]
        data = b"".join(image.save(named=True))
        (loaded,) = client.images.load(data)
        assert loaded.id == image.id
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            assert "manifest.json" in tar.getnames()


def test_ping_version_and_info(engine: Engine) -> None:
    with engine.client() as client:
        assert client.ping()
        version = client.version()
        assert version["Os"] == "linux"
        assert version["MinAPIVersion"]
        info = client.info()
        assert (
            info["Containers"]
            == info["ContainersRunning"] + info["ContainersPaused"] + info["ContainersStopped"]
        )
        assert info["Images"] >= 1
        assert info["DockerRootDir"] == str(engine.root / "data")


def test_events_arrive_while_they_happen(engine: Engine) -> None:
    with engine.client() as client, engine.client() as other:
        events = client.events(decode=True, filters={"type": "container"})
        container = other.containers.create("busybox", ["true"])
        event = next(events)
        assert (event["Action"], event["Actor"]["ID"]) == ("create", container.id)
        events.close()
        container.remove()


def test_conflict_is_an_error_with_its_status(engine: Engine) -> None:
    with engine.client() as client:
        container = client.containers.create("busybox", ["true"], name="same")
        with pytest.raises(docker.errors.APIError) as caught:
            client.containers.create("busybox", ["true"], name="same")
        assert caught.value.status_code == 409
        container.remove()
