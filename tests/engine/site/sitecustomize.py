"""For children of tests that run on PostgreSQL: the mapping of tests.engine.mapping, once runtime.dialect is there."""

import importlib
import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from types import ModuleType


class _Late(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads `runtime.dialect` as anybody would, and installs the mapping behind it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "runtime.dialect":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            self._loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        sys.modules["runtime"].dialect = module
        importlib.import_module("tests.engine.mapping")  # installs itself; it may be what asked for `runtime.dialect`


if "FIELDGRANT_TEST_POSTGRES" in os.environ:
    sys.meta_path.insert(0, _Late())
