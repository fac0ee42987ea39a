from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from minios_steps.core.config.yamlfile import SIZE_LIMIT, dotted, read_yaml
from minios_steps.core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "a.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refusal(folder: Path, text: str | bytes) -> str:
    path = written(folder, text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    return (caught.value.details or caught.value.what).replace(f"{path}", "a.yaml")


def test_scalars_are_what_they_look_like(tmp_path: Path) -> None:
    text = "a: no\nb: true\nc: 0x10\nd: -3\ne: 1.5\nf:\ng: 1.38.0\nh: 2024-01-01\ni: 12:30\nj: 010\nk: '7'\n"
    assert read_yaml(written(tmp_path, text)).data == {
        "a": "no",
        "b": True,
        "c": 16,
        "d": -3,
        "e": 1.5,
        "f": None,
        "g": "1.38.0",
        "h": "2024-01-01",
        "i": "12:30",
        "j": "010",
        "k": "7",
    }


def test_a_key_is_a_text(tmp_path: Path) -> None:
    assert read_yaml(written(tmp_path, "1.380: a\n1.38: b\ntrue: c\n")).data == {
        "1.380": "a",
        "1.38": "b",
        "true": "c",
    }


def test_every_key_and_item_has_a_line(tmp_path: Path) -> None:
    file = read_yaml(written(tmp_path, "# why\na:\n  - x\n  - b: 1\n    c: 2\n"))
    assert file.line(("a",)) == 2
    assert file.line(("a", 0)) == 3
    assert file.line(("a", 1, "c")) == 5


def test_what_is_not_there_has_the_line_around_it(tmp_path: Path) -> None:
    file = read_yaml(written(tmp_path, "a: 1\nb:\n  c: 1\n"))
    assert file.line(("b", "missing")) == 2
    assert file.line(("missing",)) == 1


def test_dotted() -> None:
    assert dotted(("mirrors", 0, "url")) == "mirrors[0].url"
    assert dotted(()) == "(top)"


def test_problem_hides_the_values_of_secret_keys(tmp_path: Path) -> None:
    file = read_yaml(written(tmp_path, "registry:\n  password: hunter2\nport: 80\n"))
    assert file.problem(("port",), "not hunter2 but 80").endswith(":3: port: not *** but 80")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "a.yaml:1: (top): the file is empty"),
        ("# only a comment\n", "a.yaml:1: (top): the file is empty"),
        ("- a\n", "a.yaml:1: (top): should be keys and values"),
        ("a: [1\nb: 2\n", "a.yaml:2: not YAML: expected ',' or ']', but got ':'"),
        ("a: 1\n\tb: 2\n", "a.yaml:2: not YAML: found character '\\t' that cannot start any token"),
        ("a: &x [1]\nb: *x\n", "a.yaml:2: not YAML: aliases (*name) are not supported"),
        ("a: !!python/none x\n", "a.yaml:1: not YAML: could not determine a constructor for the tag"),
        ("a: 1\n---\nb: 1\n", "a.yaml:2: not YAML: but found another document"),
        ("? [a, b]\n: 1\n", "a.yaml:1: (top): a key should be a text"),
        (b"a: \xff\n", "a.yaml: not UTF-8 at byte 3"),
        ("a: \x01\n", "a.yaml: not YAML: ReaderError"),
        ("[" * 5000, "a.yaml: not YAML: RecursionError"),
        ("a: '" + "x" * SIZE_LIMIT, f"a.yaml: larger than {SIZE_LIMIT} bytes"),
    ],
)
def test_refused(tmp_path: Path, text: str | bytes, expected: str) -> None:
    assert refusal(tmp_path, text).startswith(expected)


def test_every_duplicate_key_is_told(tmp_path: Path) -> None:
    assert refusal(tmp_path, "a: 1\nb:\n  c: 1\n  c: 2\na: 3\n").splitlines() == [
        "a.yaml:4: b.c: is there twice, first in line 3",
        "a.yaml:5: a: is there twice, first in line 1",
    ]


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: the file is missing"):
        read_yaml(tmp_path / "none.yaml")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_yaml(tmp_path)


def test_the_parser_does_not_quote_the_line(tmp_path: Path) -> None:
    assert "hunter2" not in refusal(tmp_path, "password: hunter2: x\n")
