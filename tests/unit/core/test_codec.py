"""This file is about reading JSON as Go's decoder does, and refusing it in dockerd's words."""

from __future__ import annotations

import pytest

from moby.core.codec import decode, encode
from moby.core.errors import InvalidParameter
from moby.core.types.containers import ContainerCreateRequest, HostConfig, PortBinding
from moby.core.types.volumes import VolumeCreateRequest


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "invalid JSON: got EOF while reading request body"),
        (b"  \n", "invalid JSON: got EOF while reading request body"),
        (b"{", "invalid JSON: unexpected EOF"),
        (b"{} {}", "unexpected content after JSON"),
        (b"[" * 100_000, "invalid JSON: exceeded max depth"),
        (
            b"[]",
            "invalid JSON: json: cannot unmarshal array into Go value of type ContainerCreateRequest",
        ),
        (
            b'{"Image":5}',
            "invalid JSON: json: cannot unmarshal number into Go struct field "
            "ContainerCreateRequest.Image of type string",
        ),
        (
            b'{"HostConfig":{"Memory":"1g"}}',
            "invalid JSON: json: cannot unmarshal string into Go struct field "
            "ContainerCreateRequest.HostConfig.Memory of type int64",
        ),
        (
            b'{"HostConfig":{"Memory":99999999999999999999}}',
            "invalid JSON: json: cannot unmarshal number into Go struct field "
            "ContainerCreateRequest.HostConfig.Memory of type int64",
        ),
        (
            b'{"HostConfig":{"Mounts":[{"Type":true}]}}',
            "invalid JSON: json: cannot unmarshal bool into Go struct field "
            "ContainerCreateRequest.HostConfig.Mounts.Type of type string",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_refused(body: bytes, message: str) -> None:
    with pytest.raises(InvalidParameter) as raised:
        decode(body, ContainerCreateRequest)
    assert raised.value.message == message


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"Image": x}', "'x' looking for beginning of value"),
        (b"{invalid}", "'i' looking for beginning of object key string"),
        (b'{"Cmd": ["a",]}', "']' looking for beginning of value"),
        (b'{"Image": "a",}', "'}' looking for beginning of object key string"),
        (b'{"Image" "a"}', "'\"' after object key"),
        (b'{"Image": "a" "b"}', "'\"' after object key:value pair"),
        (b'{"Cmd": ["a" 1]}', "'1' after array element"),
    ],
)
def test_character_that_is_no_json_is_named_as_go_does(body: bytes, said: str) -> None:
    with pytest.raises(InvalidParameter) as raised:
        decode(body, ContainerCreateRequest)
    assert raised.value.message == f"invalid JSON: invalid character {said}"


def test_keys_match_in_any_case() -> None:
    body = b'{"image":"busybox","HOSTCONFIG":{"portbindings":{"80/tcp":[{"hostport":"8080"}]}}}'
    found = decode(body, ContainerCreateRequest)
    assert found.image == "busybox"
    assert found.host_config is not None
    assert found.host_config.port_bindings == {"80/tcp": [PortBinding(host_port="8080")]}


def test_null_is_the_zero_value() -> None:
    body = (
        b'{"Image":null,"Env":["A",null],"Tty":null,"ExposedPorts":{"80/tcp":null},'
        b'"HostConfig":{"Memory":null,"PidsLimit":null,"LogConfig":null,"PortBindings":{"80/tcp":null}}}'
    )
    found = decode(body, ContainerCreateRequest)
    assert (found.image, found.env, found.tty, found.exposed_ports) == ("", ["A", ""], False, {"80/tcp": {}})
    assert found.host_config is not None
    assert found.host_config.port_bindings == {"80/tcp": None}
    assert found.host_config.pids_limit is None


def test_null_body_is_an_empty_request() -> None:
    assert decode(b"null", VolumeCreateRequest) == VolumeCreateRequest()


def test_last_of_two_keys_counts() -> None:
    assert decode(b'{"Name":"a","Name":"b"}', VolumeCreateRequest).name == "b"
    assert decode(b'{"name":"a","Name":"b"}', VolumeCreateRequest).name == "b"
    assert decode(b'{"Name":"a","name":"b"}', VolumeCreateRequest).name == "b"


def test_unknown_keys_are_ignored_and_map_keys_kept_as_they_are() -> None:
    found = decode(b'{"Nonsense":[1],"Labels":{"name":"x","Driver":"y"}}', VolumeCreateRequest)
    assert found.labels == {"name": "x", "Driver": "y"}


def test_array_of_wrong_length_is_cut_or_filled() -> None:
    assert decode(b'{"ConsoleSize":[1]}', HostConfig).console_size == (1, 0)
    assert decode(b'{"ConsoleSize":[1,2,3]}', HostConfig).console_size == (1, 2)


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    assert decode(b'{"Name":"\xff"}', VolumeCreateRequest).name == "\ufffd"


def test_memoryview_is_read_like_bytes() -> None:
    assert decode(memoryview(b'{"Name":"a"}'), VolumeCreateRequest).name == "a"


def test_what_is_written_is_read_back() -> None:
    host = HostConfig(memory=5, binds=["/a:/b"], tmpfs={"/run": ""}, init=True)
    assert decode(encode(host), HostConfig) == host
