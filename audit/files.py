"""Files that are there whole or not at all, after a crash as well."""

import os
from pathlib import Path

_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


def write(path: Path, data: bytes) -> None:
    """Put `data` at `path` by an atomic rename; file and directory entries are on the disk when it returns.

    For one writer at a time: the name of the file under way is always the same, so a crash leaves one at most.
    """
    sync(place(str(path), data))


def place(path: str, data: bytes) -> str:
    """The same for one of many files, by texts: the folder that it returns is still to be given to `sync`."""
    folder, _, name = path.rpartition("/")
    under_way = f"{folder}/.{name}.new"
    try:
        handle = os.open(under_way, _NEW, 0o666)
    except FileNotFoundError:
        _make(Path(folder))
        handle = os.open(under_way, _NEW, 0o666)
    try:
        left = data
        while left:
            left = left[os.write(handle, left) :]
        os.fsync(handle)
    finally:
        os.close(handle)
    os.rename(under_way, path)
    return folder


def _make(folder: Path) -> None:
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        sync(one.parent)


def sync(folder: Path | str) -> None:
    """Put a folder's entries on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
