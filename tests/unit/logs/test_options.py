"""Log options: sizes, counts, flags, attributes, tags."""

from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.core.logs import LogInfo
from moby.logs.options import attributes, parse_count, parse_flag, parse_size
from moby.logs.tags import expand_tag

INFO = LogInfo(
    "0123456789abcdef",
    "web",
    "/",
    image_id="sha256:fedcba9876543210",
    image_name="busybox",
    labels={"com.a": "1", "com.b": "2", "other": "3"},
    env=["A=1", "B=2=3", "EMPTY="],
)


def with_options(**options: str) -> LogInfo:
    """The container with log options."""
    return LogInfo(
        INFO.container_id,
        INFO.container_name,
        "/",
        image_id=INFO.image_id,
        image_name=INFO.image_name,
        labels=INFO.labels,
        env=INFO.env,
        options={name.replace("_", "-"): value for name, value in options.items()},
    )


@pytest.mark.parametrize(
    ("text", "size"), [("100", 100), ("10k", 10240), ("1.5m", 1572864), ("2 GB", 2 << 30), ("1KiB", 1024)]
)
def test_sizes(text: str, size: int) -> None:
    """With and without units."""
    assert parse_size(text) == size


def test_wrong_values_are_refused() -> None:
    """Each in words that say which."""
    with pytest.raises(InvalidParameter, match="invalid size: 'much'"):
        parse_size("much")
    with pytest.raises(InvalidParameter, match="max-file cannot be less than 1"):
        parse_count("max-file", "0")
    with pytest.raises(InvalidParameter, match="max-file"):
        parse_count("max-file", "-1")
    with pytest.raises(InvalidParameter, match="compress"):
        parse_flag("compress", "perhaps")


def test_flags_and_counts() -> None:
    """As Go reads them."""
    assert parse_flag("x", "True")
    assert parse_flag("x", "1")
    assert not parse_flag("x", "f")
    assert parse_count("max-file", "3") == 3


def test_attributes_are_chosen_by_name_and_by_pattern() -> None:
    """Labels and variables that are there; nothing for the others."""
    assert attributes(with_options(labels="com.a,absent", env="B,EMPTY")) == {
        "com.a": "1",
        "B": "2=3",
        "EMPTY": "",
    }
    assert attributes(with_options(labels_regex="^com", env_regex="^A$")) == {
        "com.a": "1",
        "com.b": "2",
        "A": "1",
    }
    assert attributes(INFO) == {}


def test_tags() -> None:
    """Short and full ids, names; an unknown field is an error."""
    assert attributes(with_options(tag="{{.Name}}")) == {"tag": "web"}
    assert expand_tag("{{.ID}}|{{ .ImageID }}|{{.ImageName}}", INFO) == "0123456789ab|fedcba987654|busybox"
    assert expand_tag("{{.FullID}}|{{.ImageFullID}}", INFO) == f"{INFO.container_id}|{INFO.image_id}"
    with pytest.raises(InvalidParameter, match="Nope"):
        expand_tag("{{.Nope}}", INFO)
