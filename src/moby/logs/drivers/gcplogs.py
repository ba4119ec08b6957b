"""This file is about gcplogs: lines as entries of Google's Cloud Logging, by its REST interface (v2)."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Mapping

import msgspec

from moby.core.errors import InvalidParameter, MobyError, Unavailable
from moby.core.logs import LogDriver, LogInfo, LogReader, LogWriter
from moby.logs.delivery import delivered
from moby.logs.lines import LineWriter, Message
from moby.logs.moments import timestamp
from moby.logs.options import extra_attributes

_OPTIONS = frozenset({
    "env", "env-regex", "labels", "labels-regex", "gcp-project", "gcp-log-cmd", "gcp-meta-zone",
    "gcp-meta-name", "gcp-meta-id",
})  # fmt: skip
_ADDRESS = "https://logging.googleapis.com/"
_WRITE = "v2/entries:write"
_LOG = "gcplogs-docker-driver"
_MOST_ENTRIES = 1000
_MOST_BYTES = 1 << 20
_TRIES = 3
_PERIOD_S = 1.0


class GcpLogs(LogDriver):
    """Sends to Cloud Logging, or to what `CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING` names."""

    name = "gcplogs"

    def check(self, options: Mapping[str, str]) -> None:
        """See `LogDriver.check`."""
        for option in options:
            if option not in _OPTIONS:
                raise InvalidParameter(f'"{option}" is not a valid option for the gcplogs driver')

    def writer(self, info: LogInfo) -> LogWriter:
        """See `LogDriver.writer`."""
        return delivered(GcpLogsWriter(info), info.options)

    def reader(self, info: LogInfo) -> LogReader | None:
        """See `LogDriver.reader`."""
        return None


class GcpLogsWriter(LineWriter):
    """Gathers entries for a second, or until they are as many as one call may carry."""

    flush_after_s: float | None = _PERIOD_S

    def __init__(self, info: LogInfo) -> None:
        import threading  # in the monitor that needs it, as `Delivery` has it

        # Not in every monitor.
        from moby.logs.dialing import parse_url
        from moby.logs.google import on_google, tokens, told
        from moby.logs.posting import Client

        super().__init__()
        google, options = on_google(), info.options
        self._project = options.get("gcp-project") or (told("project/project-id") if google else "")
        if not self._project:
            raise Unavailable(
                "No project was specified and couldn't read project from the metadata server. "
                "Please specify a project"
            )
        if google:
            zone = told("instance/zone").rpartition("/")[2]
            instance = _instance(zone, told("instance/name"), told("instance/id"))
        else:
            instance = _instance(*(options.get(f"gcp-meta-{name}", "") for name in ("zone", "name", "id")))
        self._common: dict[str, object] = {"instance": instance} if instance else {}
        self._common["container"] = _container(info)
        self._resource = _resource(self._project, instance)
        address = os.environ.get("CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING") or _ADDRESS
        url = parse_url(address)
        self._path = f"{url.path.rstrip('/')}/{_WRITE}"
        self._client = Client(url)
        self._token = tokens()
        self._hurried = threading.Event()
        self._entries: list[dict[str, object]] = []
        self._size = self._first_ns = 0
        self._ping()

    def _ping(self) -> None:
        """An entry that is always the same one: it tells whether we may write."""
        entry: dict[str, object] = {"textPayload": "ping", "timestamp": timestamp(0), "insertId": "ping"}
        try:
            self._write("ping", [entry])
        except MobyError as error:
            self._client.close()
            raise Unavailable(
                f"unable to connect or authenticate with Google Cloud Logging: {error.message}"
            ) from error

    def hurry(self) -> None:
        """See `LineWriter.hurry`."""
        self._hurried.set()

    def send(self, messages: list[Message]) -> None:
        """See `LineWriter.send`."""
        for message in messages:
            text = message.line.decode("utf-8", "replace")
            if self._entries and (
                len(self._entries) >= _MOST_ENTRIES or self._size + len(message.line) > _MOST_BYTES
            ):
                self._post()
            payload = {**self._common, "message": text} if text else self._common
            moment = timestamp(message.time_ns)
            # With a name of its own an entry that is sent again is there once.
            self._entries.append({"jsonPayload": payload, "timestamp": moment, "insertId": uuid.uuid4().hex})
            self._size += len(message.line)
            self._first_ns = self._first_ns or message.time_ns
        if messages and messages[-1].time_ns - self._first_ns >= _PERIOD_S * 1e9:
            self._post()

    def flush(self) -> None:
        """See `LogWriter.flush`."""
        self._post()

    def release(self) -> None:
        """See `LineWriter.release`."""
        self._post()
        self._client.close()

    def _post(self) -> None:
        entries, self._entries, self._size, self._first_ns = self._entries, [], 0, 0
        if not entries:
            return
        for attempt in range(1, _TRIES + 1):
            try:
                self._write(_LOG, entries)
            except MobyError as error:
                if attempt < _TRIES and not isinstance(error, InvalidParameter):
                    self._hurried.wait(attempt)
                    continue
                print(f"gcplogs: cannot send logs: {error}", file=sys.stderr)  # noqa: T201 - the monitor's log
            return

    def _write(self, log: str, entries: list[dict[str, object]]) -> None:
        """One call. Raises InvalidParameter for what would be refused again, Unavailable otherwise."""
        from moby.logs.posting import said

        body = msgspec.json.encode(
            {
                "logName": f"projects/{self._project}/logs/{log}",
                "resource": self._resource,
                "entries": entries,
                "partialSuccess": True,
            }
        )
        headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/json"}
        answer = self._client.ask("POST", self._path, headers, body)
        if answer.status == 200:
            return
        kind = Unavailable if answer.status >= 500 or answer.status in (408, 429) else InvalidParameter
        raise kind(said(answer))


def _instance(zone: str, name: str, identity: str) -> dict[str, str]:
    return {key: value for key, value in (("zone", zone), ("name", name), ("id", identity)) if value}


def _container(info: LogInfo) -> dict[str, object]:
    found: dict[str, object] = {
        "name": f"/{info.container_name}",
        "id": info.container_id,
        "imageName": info.image_name,
        "imageId": info.image_id,
        "created": info.created,
        "command": info.command if info.options.get("gcp-log-cmd") == "true" else "",
        "metadata": extra_attributes(info),
    }
    return {key: value for key, value in found.items() if value}


def _resource(project: str, instance: Mapping[str, str]) -> dict[str, object]:
    """What the entries are of (Cloud Logging, monitored resource types)."""
    if not instance:
        return {"type": "global", "labels": {"project_id": project}}
    labels = {
        "project_id": project,
        "instance_id": instance.get("id", ""),
        "zone": instance.get("zone", ""),
    }
    return {"type": "gce_instance", "labels": labels}
