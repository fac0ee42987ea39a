"""Distribution `minios-buildbot`: the step plugin, the ready master and the command line."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
STEPS = {
    "FetchSource": "fetch_source",
    "ProbeMachine": "probe_machine",
    "ProbeToolchain": "probe_toolchain",
    "ConfigureBusyBox": "configure_busybox",
    "CompileBusyBox": "compile_busybox",
    "CheckKept": "check_kept",
    "StageRootfs": "stage_rootfs",
    "SmokeTest": "smoke_test",
    "BuildImage": "build_image",
    "SmokeImage": "smoke_image",
    "PushFromWorker": "push_from_worker",
    "RemoveImage": "remove_image",
    "PushImage": "push_image",
    "PublishManifest": "publish_manifest",
    "TriggerMatrix": "trigger_matrix",
}


def data_files() -> list[tuple[str, list[str]]]:
    """The ready master, its configuration and the workers' recipe, for an install without a checkout."""
    found: dict[str, list[str]] = {"share/minios/master": ["master/master.cfg", "master/buildbot.tac"]}
    paths = [path for folder in ("config", "workers") for path in (HERE / folder).rglob("*")]
    for path in sorted(paths):
        if path.is_file() and path.suffix != ".pyc":
            relative = path.relative_to(HERE)
            found.setdefault(f"share/minios/{relative.parent}", []).append(str(relative))
    return sorted(found.items())


setup(
    name="minios-buildbot",
    version="0.1.0",
    description="Buildbot steps and a ready master: one BusyBox image for every CPU",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10",
    packages=[
        *find_packages(include=["minios_steps*"]),
        *find_packages("master", include=["minios_master*"]),
    ],
    package_dir={"minios_master": "master/minios_master"},
    package_data={"minios_steps": ["py.typed"], "minios_master": ["py.typed"]},
    data_files=data_files(),
    # Why each is here: docs/reference.md, "Dependencies".
    install_requires=[
        "buildbot>=4.3,<5",
        "buildbot-worker>=4.3,<5",
        "buildbot-www>=4.3,<5",
        "croniter>=3,<8",
        "cryptography>=43,<60",
        "cyclonedx-python-lib>=11.12,<12",
        "docker>=7.1,<8",
        "packageurl-python>=0.16,<1",
        "pydantic>=2.9,<3",
        "pyelftools>=0.32,<1",
        "PyNaCl>=1.5,<2",
        "pyOpenSSL>=24.2,<27",
        "PyYAML>=6.0.2,<7",
        "requests>=2.32,<3",
        "rich>=13.9,<16",
        "SQLAlchemy>=2,<3",
        "tenacity>=9,<10",
        "Twisted>=24.7",
        "typer>=0.15,<1",
        "urllib3>=2.2,<3",
    ],
    extras_require={
        "dev": [
            "cyclonedx-python-lib[json-validation]>=11.12,<12",
            "jsonschema[format]>=4.23,<5",
            "mypy>=1.15,<3",
            "pytest>=8.3,<10",
            "pytest-timeout>=2.3,<3",
            "pytest-xdist>=3.6,<4",
            "ruff>=0.11,<1",
            "setuptools>=65",
            "types-PyYAML>=6.0.12",
            "types-docker>=7.1",
            "types-requests>=2.32",
        ],
    },
    entry_points={
        "console_scripts": ["minios = minios_master.cli.main:run"],
        "buildbot.changes": ["BusyBoxPoller = minios_steps.busybox_poller:BusyBoxPoller"],
        "buildbot.steps": [f"{name} = minios_steps.{module}:{name}" for name, module in STEPS.items()],
    },
)
