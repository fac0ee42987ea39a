# ruff: noqa: INP001  # programs stand here, no package
"""Writes `docs/reference.md` from the code, which it therefore cannot contradict.

python docs/generate_reference.py            prints it
python docs/generate_reference.py --write    puts it into the file
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import typer
import typer.main
from code_facts import arguments, constants, key_rows, literal, option_text, prose, table
from minios_master.cli.main import build_app

from minios_steps.busybox_poller import BusyBoxPoller
from minios_steps.core.cell_result import GOOD, CellResult, Outcome
from minios_steps.core.config.arch import Arch
from minios_steps.core.config.minios import Minios
from minios_steps.core.config.sources import Sources
from minios_steps.core.config.workers import Workers
from minios_steps.core.records import RECORD_TYPE, CellOutcome, ReleaseRecord, Trigger
from minios_steps.core.release import ReleaseReport
from minios_steps.registry_step import RegistryStep
from minios_steps.release_step import ReleaseStep

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference.md"
COMMAND = ".venv/bin/python docs/generate_reference.py --write"

FILES: dict[str, type[BaseModel]] = {
    "minios.yaml": Minios,
    "arches/NAME.yaml": Arch,
    "sources.yaml": Sources,
    "workers.yaml": Workers,
}

ENVIRONMENT = (
    ("MINIOS_CONFIG", "`minios`, `master.cfg`", "the configuration folder; `--config` wins"),
    ("MINIOS_STATE", "`minios`, `master.cfg`", "the state folder; `--state` wins"),
    (
        "MINIOS_OUT",
        "`master.cfg`",
        "the OCI layout to write; else `destination.path` beside the state folder",
    ),
    ("MINIOS_REGISTRY", "`master.cfg`", "`HOST[:PORT]/REPO` to release into; else as `destination` says"),
    ("MINIOS_PLAIN_HTTP", "`master.cfg`", "1: that registry speaks http"),
    ("MINIOS_WEB_PORT", "`master.cfg`", "the web port; 0 or nothing: as `web.port` says"),
    ("MINIOS_BASEDIR", "`buildbot.tac`", "the master's base folder; set by `minios`"),
    ("MINIOS_LIFELINE", "`master.cfg`", "1: stop with the command that started the master; set by `minios`"),
    ("COLUMNS", "`minios`", "the width of what is printed; without it and a terminal 160"),
    ("NO_COLOR", "`minios`", "anything: no colours"),
    (
        "TERM",
        "`minios`",
        "`dumb`: the progress of a run is lines, where other terminals have one table redrawn",
    ),
    ("HTTPS_PROXY", "downloads", "a proxy; `HTTP_PROXY` and `NO_PROXY` as usual"),
    ("REQUESTS_CA_BUNDLE", "downloads", "a file with the authorities to trust"),
    ("DOCKER_HOST", "`minios doctor`, `minios matrix`, workers", "where the Docker engine is"),
    (
        "DOCKER_CONFIG",
        "`minios`, registries",
        "the folder of `config.json`, where `docker login` left credentials; else `~/.docker`",
    ),
    (
        "TMPDIR",
        "`minios release copy`, `minios reproduce`",
        "where a blob is kept on its way from a registry; where a release is built again, with 200 MB free",
    ),
    ("PYTHON", "`make`, `bootstrap.sh`", "the interpreter that `.venv` is made with"),
    ("CI", "`make test`", "anything: a missing tool fails the tests that need it instead of skipping them"),
)
"""Name, who reads it, what it does."""

REASONS = {
    "buildbot": "the master: builders, schedulers, steps",
    "buildbot-worker": "the workers inside the master's process",
    "buildbot-www": "the web interface",
    "croniter": "reads the time of the nightly, as Buildbot's own scheduler does",
    "cryptography": "signs releases and checks signatures: ECDSA, and the keys' files; the certificate"
    " authority that remote workers know the master by",
    "cyclonedx-python-lib": "writes each image's bill of materials; by the CycloneDX project, pure Python",
    "cyclonedx-python-lib[json-validation]": "bills of materials are held against CycloneDX's own schema",
    "docker": "`minios doctor` looks for an engine, `minios matrix --load` fills it",
    "jsonschema[format]": "what is written is held against the rules of the OCI image-spec",
    "mypy": "types, strict",
    "packageurl-python": "package URLs, in the types that the bill of materials is written from",
    "pydantic": "checks the configuration key by key",
    "pyelftools": "reads ELF headers",
    "pytest": "runs the tests",
    "pytest-timeout": "a test that hangs fails",
    "pytest-xdist": "tests side by side, a process for each core",
    "pynacl": "opens the private keys that cosign makes",
    "pyopenssl": "TLS of the gate that remote workers come in by",
    "pyyaml": "reads the configuration files",
    "requests": "registries; downloads; the command line's questions to the master",
    "rich": "tables and the live display",
    "ruff": "format and style",
    "setuptools": "builds what the tests of an installation install",
    "sqlalchemy": "how Buildbot keeps its database open, beneath Buildbot",
    "tenacity": "asks again: mirrors, registries and the master",
    "twisted": "what Buildbot runs on: threads, periodic checks and standard input, used directly",
    "typer": "the command line",
    "types-docker": "types for mypy",
    "types-pyyaml": "types for mypy",
    "types-requests": "types for mypy",
    "urllib3": "tells apart how a download or upload failed, below requests",
}
"""Why each dependency is there, by its name in lower case."""


def reference() -> str:
    """The whole text of `docs/reference.md`."""
    chapters = {
        "Commands": _commands,
        "Exit codes": _exit_codes,
        "Outcomes": _outcomes,
        "Configuration": _configuration,
        "Steps": _steps,
        "Release records": _records,
        "Change source": _change_source,
        "Annotations": _annotations,
        "Environment": _environment,
        "Dependencies": _dependencies,
    }
    links = ", ".join(f"[{name}](#{name.lower().replace(' ', '-')})" for name in chapters)
    blocks = ["# Reference", f"Written from the code by `{COMMAND}`.", links]
    for name, chapter in chapters.items():
        blocks += [f"## {name}", *chapter()]
    return "\n\n".join(blocks) + "\n"


def _commands() -> Iterator[str]:
    app = build_app()
    group: Any = typer.main.get_command(app)
    # The same two for every command, so they are told once.
    common = {option.name: option for option in group.params}
    yield "Options of every command, before or after its name; `-h` and `--help` show them all:"
    shown = [option for option in common.values() if option.name != "help"]
    yield from table(("Option", "Meaning"), [(f"`{option_text(o, Path)}`", o.help) for o in shown])
    for words, info, command in _each(app, group):
        hints = get_type_hints(info.callback)
        own = [option for option in command.params if option.name not in common]
        rows = [(f"`{option_text(option, hints[option.name])}`", option.help) for option in own]
        shape = [*words, *(option_text(o, hints[o.name]) for o in own if o.param_type_name == "argument")]
        yield f"### `minios {' '.join(shape)}`"
        yield prose(inspect.getdoc(info.callback) or "")
        yield from table(("Option", "Meaning"), rows)


def _each(app: typer.Typer, group: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[Any, Any, Any]]:
    """Every command with its words, typer's record of it and click's command; groups' ones last."""
    for info in app.registered_commands:
        yield (*before, info.name), info, group.commands[info.name]
    for info in app.registered_groups:
        if info.typer_instance and info.name:
            inner = group.commands[info.name]
            yield from _each(info.typer_instance, inner, (*before, info.name))


def _exit_codes() -> Iterator[str]:
    rows = [("0", "good.")]
    for _, value, text in constants(ROOT / "master/minios_master/cli/output.py"):
        if text.startswith("Exit code: "):
            rows.append((str(value), text.removeprefix("Exit code: ")))
    yield from table(("Code", "Meaning"), rows)


def _outcomes() -> Iterator[str]:
    yield (
        "A cell ends as one of these; what each means is told "
        "[for the release engineer](release-engineer.md#what-each-outcome-means)."
    )
    names: tuple[Outcome, ...] = get_args(Outcome)
    yield from table(
        ("Outcome", "Leaves an image"), [(f"`{n}`", "yes" if n in GOOD else "no") for n in names]
    )
    yield "`minios matrix --json` prints `cells`, `releases`, `seconds`, `problem`, `out`, `exit`. A cell:"
    yield from table(("Field", "Meaning"), arguments(CellResult))
    fields = ", ".join(name for name, _ in arguments(ReleaseReport))
    yield f"A release has {fields}. Its " + prose((inspect.getdoc(ReleaseReport) or "").partition("\n\n")[2])


def _configuration() -> Iterator[str]:
    yield "Unknown keys are errors. `minios check` reads all files and says what is wrong, and in which line."
    for name, model in FILES.items():
        yield f"### `{name}`"
        schema = model.model_json_schema()
        yield from _keys("", schema, schema.get("$defs", {}))


def _keys(prefix: str, schema: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[str]:
    """The docstring and the keys of a model, and then those of the models in it."""
    title = f"**`{prefix.rstrip('.')}`** " if prefix else ""
    yield title + prose(schema.get("description", ""))
    rows, inner = key_rows(prefix, schema)
    yield from table(("Key", "Value", "Default"), rows)
    for name, below in inner:
        yield from _keys(below, known[name], known)


def _steps() -> Iterator[str]:
    yield (
        "`from buildbot.plugins import steps` has them. All take Buildbot's own step arguments too, and"
        " `timeout_factor`, which multiplies their time limits."
    )
    plugins: dict[str, str] = literal(ROOT / "setup.py", "STEPS")
    for name, module in plugins.items():
        yield from _plugin(getattr(importlib.import_module(f"minios_steps.{module}"), name))


def _change_source() -> Iterator[str]:
    yield (
        "`from buildbot.plugins import changes` has it. It takes the arguments of Buildbot's own pollers"
        " too, but for `pollInterval`."
    )
    yield from _plugin(BusyBoxPoller)


def _plugin(plugin: type) -> Iterator[str]:
    summary, *paragraphs = re.split(r"\n\n+", inspect.getdoc(plugin) or "")
    yield f"### `{plugin.__name__}`"
    yield prose(summary)
    bases = [base for base in (ReleaseStep, RegistryStep) if issubclass(plugin, base)]
    rows = [row for kind in (plugin, *bases) for row in arguments(kind)]
    yield from table(("Argument", "Meaning"), rows)
    yield from (prose(text) for text in paragraphs if not text.startswith("Args:"))


def _records() -> Iterator[str]:
    yield (
        f"An OCI artifact of the type `{RECORD_TYPE}`, whose subject is the index; its one blob is JSON."
        " Readers pass over what they do not know."
    )
    yield from table(("Field", "Meaning"), arguments(ReleaseRecord))
    yield "`trigger` has:"
    yield from table(("Field", "Meaning"), arguments(Trigger))
    yield "Each of `cells` has:"
    yield from table(("Field", "Meaning"), arguments(CellOutcome))


def _annotations() -> Iterator[str]:
    yield "On an image's manifest, on the index, or on an entry of a layout's `index.json`."
    found = constants(ROOT / "minios_steps/core/oci/annotations.py")
    rows = [(f"`{value}`", text or "As the image-spec says.") for _, value, text in found]
    yield from table(("Annotation", "Meaning"), rows)


def _environment() -> Iterator[str]:
    rows = [(f"`{name}`", reader, meaning) for name, reader, meaning in ENVIRONMENT]
    yield from table(("Variable", "Read by", "Meaning"), rows)


def _dependencies() -> Iterator[str]:
    columns = ("Package", "Versions", "Why")
    yield from table(columns, map(_requirement, literal(ROOT / "setup.py", "install_requires")))
    yield "For development, the extra `dev`:"
    yield from table(columns, map(_requirement, literal(ROOT / "setup.py", "extras_require")["dev"]))


def _requirement(text: str) -> tuple[str, str, str]:
    name = re.split(r"[<>=!~]", text)[0]
    return f"`{name}`", f"`{text.removeprefix(name)}`", REASONS[name.lower()]


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        REFERENCE.write_text(reference(), "utf-8")
    else:
        sys.stdout.write(reference())
