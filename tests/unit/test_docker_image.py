"""Dockerfile, login file, and what an engine or a config says of an image."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from minios_steps.core.docker.dockerfile import dockerfile
from minios_steps.core.docker.engine import DockerError
from minios_steps.core.docker.image import check_built, check_config
from minios_steps.core.docker.login import login_config
from minios_steps.core.errors import ImageError
from minios_steps.core.platform import Platform

ID = "sha256:" + "7" * 64
ARM64 = Platform("linux", "arm64", "v8")
GOOD: dict[str, Any] = {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"], "Labels": {"a": "b"}}


def inspected(**told: Any) -> str:
    return json.dumps([{"Id": ID, "Os": "linux", "Architecture": "arm64", "Variant": "v8", **told}])


def test_dockerfile() -> None:
    text = dockerfile({"b": "two", "a": 'say "x" $HOME \\ é'}, ["/bin/sh", "-l"])
    assert text.splitlines() == [
        "FROM scratch",
        "ADD layer.tar.gz /",
        'LABEL "a"="say \\"x\\" \\$HOME \\\\ é" "b"="two"',
        'ENV PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"',
        'CMD ["/bin/sh", "-l"]',
    ]


@pytest.mark.parametrize("bad", ["two\nRUN evil", "\x1b[31m", "\x00"])
def test_label_that_a_dockerfile_cannot_hold(bad: str) -> None:
    with pytest.raises(ImageError, match="cannot be written into a Dockerfile"):
        dockerfile({"a": bad}, ["/bin/sh"])
    with pytest.raises(ImageError, match="cannot be written into a Dockerfile"):
        dockerfile({bad: "a"}, ["/bin/sh"])


@pytest.mark.parametrize("variant", ["v8", "", None])
def test_built_for_the_right_cpu(variant: str | None) -> None:
    assert str(check_built(inspected(Variant=variant), ARM64)) == ID


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"Architecture": "amd64", "Variant": ""}, "linux/amd64"),
        ({"Os": "windows"}, "windows/arm64/v8"),
        ({"Variant": "v7"}, "linux/arm64/v7"),
    ],
)
def test_built_for_another_cpu(told: dict[str, Any], found: str) -> None:
    with pytest.raises(DockerError, match=f"built an image for {found}, expected linux/arm64/v8"):
        check_built(inspected(**told), ARM64)


@pytest.mark.parametrize("text", ["", "[]", "[1]", "{}", "[{}, {}]", '[{"Id": "x"}]', "Error: no such image"])
def test_no_answer_of_inspect(text: str) -> None:
    with pytest.raises(DockerError, match="not the answer of `docker image inspect`"):
        check_built(text, ARM64)


def check(**changes: Any) -> None:
    check_config({"config": {**GOOD, **changes}}, command=["/bin/sh"], labels={"a": "b"}, path="/bin")


def test_config_as_the_builders_write_it() -> None:
    # What 20.10's own builder, and its BuildKit, write beside what was asked for.
    check(User="", Volumes=None, WorkingDir="", Entrypoint=None, OnBuild=None, Tty=False, Image=ID)
    check(ArgsEscaped=True, WorkingDir="/")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"Cmd": ["/bin/evil"]}, "Cmd is"),
        ({"Env": ["PATH=/evil"]}, "Env is"),
        ({"Env": ["PATH=/bin", "LD_PRELOAD=/x"]}, "Env is"),
        ({"Labels": {"a": "b", "c": "d"}}, "Labels is"),
        ({"Entrypoint": ["/bin/evil"]}, "Entrypoint is"),
        ({"User": "1000"}, "User is"),
        ({"WorkingDir": "/evil"}, "WorkingDir is"),
        ({"Volumes": {"/etc": {}}}, "Volumes is"),
        ({"OnBuild": ["RUN evil"]}, "OnBuild is"),
        ({"Healthcheck": {"Test": ["CMD", "evil"]}}, "Healthcheck is"),
    ],
)
def test_config_that_starts_something_else(change: dict[str, Any], what: str) -> None:
    with pytest.raises(ImageError, match=f"config: {what}"):
        check(**change)


def test_config_without_parameters() -> None:
    with pytest.raises(ImageError, match="no execution parameters"):
        check_config({}, command=[], labels={}, path="")


@pytest.mark.parametrize(
    ("host", "key"), [("r.example:5000", "r.example:5000"), ("docker.io", "https://index.docker.io/v1/")]
)
def test_login_file(host: str, key: str) -> None:
    told = json.loads(login_config(host, "ci", "pass:word é"))
    [(name, entry)] = told["auths"].items()
    assert name == key
    assert base64.b64decode(entry["auth"]).decode() == "ci:pass:word é"
