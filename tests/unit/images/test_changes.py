"""Dockerfile instructions on a configuration."""

from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.core.types.images import ImageConfig
from moby.images.changes import apply_changes


def changed(*lines: str) -> ImageConfig:
    return apply_changes(ImageConfig(), lines)


def test_commands_in_both_forms() -> None:
    assert changed('CMD ["a", "b"]').cmd == ["a", "b"]
    assert changed("CMD echo hi").cmd == ["/bin/sh", "-c", "echo hi"]
    found = changed("CMD x", 'ENTRYPOINT ["e"]')
    assert (found.entrypoint, found.cmd) == (["e"], [])


def test_variables_and_labels() -> None:
    found = changed('ENV A=1 B="two words"', "ENV A 3 4", "LABEL a=b 'c d'=e", "label x=")
    assert found.env == ["A=3 4", "B=two words"]
    assert found.labels == {"a": "b", "c d": "e", "x": ""}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("ENV X=/usr/bin:$PATH", "/usr/bin:/bin"),
        ("ENV X $PATH:${PATH}", "/bin:/bin"),
        ('ENV X="$PATH of ${NONE:-nobody}"', "/bin of nobody"),
        ("ENV X='$PATH'", "$PATH"),
        (r"ENV X=\$PATH", "$PATH"),
        (r'ENV X="\$PATH"', "$PATH"),
        ("ENV X=${EMPTY:-a}${EMPTY-b}${PATH:+c}${NONE+d}${NONE:-$PATH}", "ac/bin"),
        ("ENV X=$NONE.", "."),
    ],
)
def test_variables_of_the_configuration_in_a_change(line: str, value: str) -> None:
    found = apply_changes(ImageConfig(env=["PATH=/bin", "EMPTY="]), [line])
    assert found.env[2:] == [f"X={value}"]


def test_variables_in_other_instructions() -> None:
    config = ImageConfig(env=["PORT=80", "USER=app", "HOME=/home/app"])
    lines = [
        "EXPOSE $PORT",
        "USER ${USER}",
        "WORKDIR $HOME/x",
        "VOLUME $HOME/data",
        "LABEL of=$USER",
        "CMD echo $USER",
    ]
    found = apply_changes(config, lines)
    assert (list(found.exposed_ports), found.user, found.working_dir) == (["80/tcp"], "app", "/home/app/x")
    assert (list(found.volumes), found.labels) == (["/home/app/data"], {"of": "app"})
    assert found.cmd == ["/bin/sh", "-c", "echo $USER"]


def test_the_rest() -> None:
    found = changed(
        "EXPOSE 80 53/udp 8000-8002",
        "USER app:app",
        'VOLUME ["/a", "/b"]',
        "VOLUME /c",
        "WORKDIR /x",
        "WORKDIR y/../z",
        "STOPSIGNAL SIGTERM",
        "ONBUILD RUN x",
        "# nothing",
        "HEALTHCHECK --interval=5s --retries=3 CMD curl x",
    )
    assert set(found.exposed_ports) == {"80/tcp", "53/udp", "8000/tcp", "8001/tcp", "8002/tcp"}
    assert (found.user, found.working_dir, found.stop_signal) == ("app:app", "/x/z", "SIGTERM")
    assert set(found.volumes) == {"/a", "/b", "/c"}
    assert found.on_build == ["RUN x"]
    assert found.healthcheck is not None
    assert found.healthcheck.test == ["CMD-SHELL", "curl x"]
    assert (found.healthcheck.interval, found.healthcheck.retries) == (5_000_000_000, 3)


def test_what_was_given_is_not_changed() -> None:
    config = ImageConfig(env=["A=1"], labels={"a": "b"})
    apply_changes(config, ["ENV A=2", "LABEL a=c"])
    assert (config.env, config.labels) == (["A=1"], {"a": "b"})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("RUN x", "RUN is not a valid change command"),
        ("FROM x", "FROM is not a valid change command"),
        ("EXPOSE nope", "invalid containerPort: nope"),
        ("EXPOSE 70000", "invalid containerPort: 70000"),
        ("ENV A", "ENV must have two arguments"),
        ("ENV =x", "ENV names can not be blank"),
        ("USER a b", "USER requires exactly one argument"),
        ("LABEL", "LABEL requires at least one argument"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("HEALTHCHECK --nope=1 CMD x", "unknown flag: nope"),
    ],
)
def test_refusals(line: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        changed(line)
    assert caught.value.message == message
