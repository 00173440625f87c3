"""Files that are there whole or not at all, after a crash as well."""

import os
from pathlib import Path


def write(path: Path, data: bytes) -> None:
    """Put `data` at `path` by an atomic rename; file and directory entries are on the disk when it returns.

    For one writer at a time: the name of the file under way is always the same, so a crash leaves one at most.
    """
    for folder in reversed([parent for parent in path.parents if not parent.exists()]):
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)
    under_way = path.with_name(f".{path.name}.new")
    with under_way.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    under_way.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
