"""What the steps share that look at a release: where it is, in a registry or in a layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minios_steps.core.errors import MiniosError
from minios_steps.core.oci.layout import Layout
from minios_steps.core.oci.layout_store import LayoutStore
from minios_steps.registry_step import RegistryStep

if TYPE_CHECKING:
    from pathlib import Path

    from minios_steps.core.config.project import Project
    from minios_steps.core.oci.store import ImageStore
    from minios_steps.core.registry.connect import Connection


class ReleaseStep(RegistryStep):
    """A step that reads or writes a release.

    Args:
        project: the configuration.
        store: the candidate store's folder.
        layout: the OCI image layout that releases are in, where there is no `registry`.
    """

    def __init__(self, *, project: Project, store: Path, layout: Path | None = None, **kwargs: Any) -> None:
        super().__init__(registry_root=project.root, **kwargs)
        self.project = project
        self.store = store
        self.layout = layout

    def released(self, connection: Connection | None) -> ImageStore:
        """The store that releases are in: of the registry, else the layout.

        Raises:
            MiniosError: the step has neither.
        """
        return connection.release if connection else LayoutStore(self.released_layout())

    def released_layout(self) -> Layout:
        """The layout that releases are in, where there is no registry.

        Raises:
            MiniosError: the step has none.
        """
        if self.layout is None:
            raise MiniosError(f"{type(self).__name__} has neither a layout nor a registry")
        return Layout(self.layout)
