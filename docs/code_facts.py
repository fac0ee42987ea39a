# ruff: noqa: INP001  # programs stand here, no package
"""Facts read out of the code, in words that are the same under every version of Python and libraries."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_SIMPLE = {"string": "text", "integer": "number", "number": "number", "boolean": "`true` or `false`"}


def option_text(option: Any, hint: Any) -> str:
    """An option as it is written, such as `--jobs N`; an argument's own word.

    Args:
        option: typer's parameter. Its words for values differ from version to version.
        hint: the type of the function's argument.
    """
    if option.param_type_name == "argument":
        return str(option.metavar or option.name.upper())
    kinds = {kind for kind in (*get_args(hint), hint) if isinstance(kind, type)}
    if bool in kinds:
        return str(option.opts[0])
    value = "N" if int in kinds else "DIR" if Path in kinds else option.name.upper()
    return f"{option.opts[0]} {option.metavar or value}"


def key_rows(prefix: str, schema: Mapping[str, Any]) -> tuple[list[tuple[str, ...]], list[tuple[str, str]]]:
    """The keys of a configuration model that hold plain values, and the models that the others hold.

    Args:
        prefix: what stands before each key, such as `image.`.
        schema: the model's JSON schema, as pydantic gives it.

    Returns:
        Rows of key, value and default; and pairs of a model's name and its prefix.
    """
    rows: list[tuple[str, ...]] = []
    inner: list[tuple[str, str]] = []
    for key, told in schema["properties"].items():
        models = [(name, f"{prefix}{key}{between}.") for between, name in _models(told)]
        inner += models
        if not models:
            default = "required" if key in schema.get("required", ()) else _default(told["default"])
            rows.append((f"`{prefix}{key}`", _kind(told), default))
    return rows, inner


def arguments(documented: type) -> list[tuple[str, str]]:
    """The arguments of a class by its signature, each with what its docstring says of it."""
    _, _, text = (inspect.getdoc(documented) or "").partition("Args:\n")
    told: dict[str, str] = {}
    entry = re.compile(r"^    (\w[\w, ]*): (.+(?:\n        .+)*)", re.MULTILINE)
    for match in entry.finditer(text.partition("\n\n")[0]):
        told.update(dict.fromkeys(match[1].split(", "), prose(match[2])))
    # Of the class itself, Python's versions disagree whether `__new__` goes first. Buildbot's
    # services take their arguments in another method.
    takes = vars(documented).get("__init__") or vars(documented)["checkConfig"]
    parameters = list(inspect.signature(takes).parameters.values())[1:]
    names = [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]
    return [(f"`{name}`", told.get(name, "")) for name in names]


def constants(path: Path) -> Iterator[tuple[str, Any, str]]:
    """The public constants of a module: name, value, and the text that stands below."""
    body = ast.parse(path.read_text("utf-8")).body
    for node, below in zip(body, [*body[1:], ast.Pass()], strict=True):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Constant):
            continue
        text = ast.literal_eval(below.value) if isinstance(below, ast.Expr) else ""
        name = ast.unparse(node.targets[0])
        if not name.startswith("_"):
            yield name, node.value.value, prose(text)


def literal(path: Path, name: str) -> Any:
    """The value of a variable, or of a call's argument, in a module that must not be run.

    Raises:
        LookupError: there is no such name.
    """
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == name:
            return ast.literal_eval(node.value)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise LookupError(f"{path}: there is no {name}")


def prose(text: str) -> str:
    """A docstring with each paragraph on one line."""
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A Markdown table; nothing when there is no row."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    if lines:
        yield "\n".join((f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *lines))


def _models(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The models a key holds, each with what comes between: `[]` in a list, `.NAME` in a mapping."""
    if "$ref" in told:
        yield "", told["$ref"].rpartition("/")[2]
    for choice in (*told.get("oneOf", ()), *told.get("anyOf", ())):
        yield from _models(choice)
    for mark, name in (("[]", "items"), (".NAME", "additionalProperties")):
        if isinstance(told.get(name), dict):
            yield from ((mark + between, model) for between, model in _models(told[name]))


def _kind(told: Mapping[str, Any]) -> str:
    """What a value may be."""
    if choices := [told["const"]] if "const" in told else told.get("enum"):
        return " or ".join(f"`{choice}`" for choice in choices)
    if "anyOf" in told:
        return " or ".join(_kind(choice) for choice in told["anyOf"])
    if told["type"] == "array":
        return f"list of {_kind(told['items'])}"
    if told["type"] == "object":
        return f"mapping of names to {_kind(told['additionalProperties'])}"
    limits = (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"))
    return " ".join(
        (_SIMPLE[told["type"]], *(f"{word} {told[key]:.0f}" for key, word in limits if key in told))
    )


def _default(value: Any) -> str:
    if value in ("", [], None):
        return "empty"
    if isinstance(value, list):
        return f"`[{', '.join(map(str, value))}]`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
