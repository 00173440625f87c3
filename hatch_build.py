"""The wheel's build hook: the pages are in it, built when they are missing or older than their sources."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent))

from tools import web


class Pages(BuildHookInterface[Any]):
    """Builds with the machine's Node, or with one that comes as a wheel for the length of the build."""

    PLUGIN_NAME = "custom"

    def built(self) -> bool:
        """Nothing to do: the pages are today's, or came along in a source distribution."""
        return web.fresh() or (Path(self.root, "PKG-INFO").exists() and web.BUILT.exists())

    def dependencies(self) -> list[str]:
        """Node as a wheel, where the machine has none that will do."""
        return [] if self.built() or web.machine_node() or web.wheel_node() else [web.WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, and take what was built into the distribution (git ignores it)."""
        build_data["artifacts"].append("fieldgrant/_pages/**")
        if self.built():
            return
        try:
            web.build()
        except web.WebError as error:
            raise SystemExit(f"{error}\nFIELDGRANT_PAGES=skip installs the rest without the pages.") from error
