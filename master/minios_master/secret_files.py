"""The files of the state folder's `secrets/`, looked at before a master starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minios_steps.core.errors import ConfigError

if TYPE_CHECKING:
    from minios_steps.core.config.project import Project

    from .settings import Settings

_OTHERS = 0o077


def check_secrets(project: Project, settings: Settings) -> None:
    """Refuse what would be found out late: after hours of compiling, or in the master's log only.

    Args:
        project: whose signing key must be there.
        settings: say where secrets are.

    Raises:
        ConfigError: others may read a secret, or it is no file, with both of which Buildbot does not start;
            or what releases are signed with is not there.
    """
    folder = settings.secrets
    for path in sorted(folder.glob("*")):
        if not path.is_file():
            raise ConfigError(f"{path}: is no file, and every secret is one", hint="take it away")
        if path.stat().st_mode & _OTHERS:
            raise ConfigError(f"{path}: others may read this secret", hint=f"chmod 600 {path}")
    signing = project.minios.signing
    for key, name in (("key_secret", signing.key_secret), ("password_secret", signing.password_secret)):
        if name and not (folder / name).is_file():
            raise ConfigError(
                f"signing.{key} is {name}, and there is no file {folder / name}",
                hint="write the secret into it, and let nobody else read it: chmod 600",
            )
