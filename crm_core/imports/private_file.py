"""A new file for its owner's eyes alone, outside the places where the platform's own data rests."""

import os
from pathlib import Path
from typing import BinaryIO

from protocol.errors import EvidenceError
from runtime.settings import Settings


def create(path: Path, settings: Settings) -> BinaryIO:
    """Make the file, mode 0600; one that is there already, or a link, is not taken.

    Raises EvidenceError `inside_platform` for a place in the directories of data, keys, journal, log or mail, and
    OSError (FileExistsError …).
    """
    parent = path.parent.resolve(strict=True)
    ours = (
        settings.data_dir, settings.keys_dir, settings.journal_dir, settings.db_dir, settings.log_dir,
        settings.mail_dir,
    )  # fmt: skip
    if any(parent.is_relative_to(place.resolve()) for place in ours):
        raise EvidenceError("inside_platform", "values must not be written into the platform's own directories")
    # By the directory itself: whoever swaps a name on the way gets nothing.
    directory = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.fdopen(os.open(path.name, flags, 0o600, dir_fd=directory), "wb")
    finally:
        os.close(directory)
