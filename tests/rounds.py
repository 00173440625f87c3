"""The rounds of a long test: how far it has come is told to whoever runs it, who ends what comes no further.

`python3 dev.py torture` names a file in the environment and looks into it; without it nothing is told.
"""

import os
from collections.abc import Iterator
from pathlib import Path

FILE = "FIELDGRANT_ROUNDS"


def told(done: int, of: int) -> None:
    """`done` rounds of `of` are over."""
    if path := os.environ.get(FILE):
        Path(path).write_text(f"{done} {of}", encoding="ascii")


def rounds(count: int) -> Iterator[int]:
    """0 … count - 1; each is told once it is over."""
    told(0, count)
    for number in range(count):
        yield number
        told(number + 1, count)
