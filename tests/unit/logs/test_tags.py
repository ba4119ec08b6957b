"""Log tags: fields, functions, pipelines, what is refused."""

from __future__ import annotations

import pytest

from moby.core.errors import InvalidParameter
from moby.core.logs import LogInfo
from moby.logs.tags import expand_tag, tag_of

INFO = LogInfo(
    "0123456789abcdef",
    "web",
    "/",
    image_id="sha256:fedcba9876543210",
    image_name="busybox:1.36",
    command="sh -c true",
    labels={"tier": "front"},
    env=["A=1"],
    options={"labels": "tier"},
)


@pytest.mark.parametrize(
    ("template", "tag"),
    [
        ("", ""),
        ("plain", "plain"),
        ("{{.Name}}/{{.ID}}", "web/0123456789ab"),
        ("{{.FullID}} {{.DaemonName}}", "0123456789abcdef docker"),
        ("{{ .ImageName }}", "busybox:1.36"),
        ("{{.ImageID}} {{.ImageFullID}}", "fedcba987654 sha256:fedcba9876543210"),
        ("{{.Command}}", "sh -c true"),
        ("{{upper .Name}}", "WEB"),
        ("{{.Name | upper | printf `<%s>`}}", "<WEB>"),
        ("{{lower (upper .Name)}}", "web"),
        ("{{title .Name}}", "Web"),
        ('{{index (split .ImageName ":") 0}}', "busybox"),
        ('{{join (split .ImageName ":") "-"}}', "busybox-1.36"),
        ("{{truncate .FullID 4}}", "0123"),
        ("{{pad .Name 1 2}}|", " web  |"),
        ("{{json .Name}}", '"web"'),
        ('{{index .ContainerLabels "tier"}}', "front"),
        ('{{printf "%s-%d-%q" .Name 7 .Name}}', 'web-7-"web"'),
        ('{{"{{"}}x', "{{x"),
        ("a {{- .Name -}} b", "awebb"),
        ("{{.Config.labels}}", "tier"),
        ("{{len .Name}}", "3"),
    ],
)
def test_templates(template: str, tag: str) -> None:
    assert expand_tag(template, INFO) == tag


@pytest.mark.parametrize(
    "template",
    [
        "{{.Nope}}", "{{nope .Name}}", "{{.Name", "{{}}", "{{.Name .ID}}", "{{if .Name}}x{{end}}", "{{upper}}",
        "{{(.Name}}", "{{.Name | .ID}}", "{{index .Name 99}}", "{{&}}", "{{truncate .Name `x`}}",
    ],
)  # fmt: skip
def test_what_cannot_be_filled_in_is_refused(template: str) -> None:
    with pytest.raises(InvalidParameter, match="template: log-tag"):
        expand_tag(template, INFO)


def test_the_usual_tag_is_the_short_id() -> None:
    assert tag_of(INFO) == "0123456789ab"
    assert tag_of(INFO, "{{.FullID}}") == INFO.container_id
