"""Name the project's addresses in the package: those of the repository that builds it.

The build reads them from REPOSITORY_URL, which a release demands; a checkout that is moved or
forked has nothing to change.
"""

from __future__ import annotations

import os
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

PAGES = {"Changelog": "blob/main/CHANGELOG.md", "Issues": "issues"}


class Addresses(MetadataHookInterface):
    """Hatchling's hook for what pyproject.toml calls dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set `urls`, if the repository's address is known."""
        repository = os.environ.get("REPOSITORY_URL", "").rstrip("/")
        pages = {name: f"{repository}/{page}" for name, page in PAGES.items()}
        metadata["urls"] = {"Repository": repository, **pages} if repository else {}
