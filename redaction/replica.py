"""The replica of wrapped data keys: outside the database, per bucket, in its latest version only.

Rotating a bucket kills the wrapped data keys in every older backup, those of customers who withdrew nothing too. So
before the old bucket key is destroyed, all data keys of the bucket are made durable beside the journal, wrapped under
the new epoch. An older backup rolled forward takes cells from the journal's survivors and data keys from here.
"""

import base64
from pathlib import Path

import orjson
from sqlmodel import Session, col, select

from crm_core.records import RecordRow
from protocol.consent import SubjectId
from runtime import keyfiles
from runtime.platform import Platform


def write(session: Session, platform: Platform, bucket: int) -> None:
    """Replace the bucket's replica by what the session sees; durable on return. Raises OSError."""
    columns = (RecordRow.subject, RecordRow.generation, RecordRow.epoch, RecordRow.wrapped)
    rows = session.exec(select(*columns).where(RecordRow.bucket == bucket).order_by(col(RecordRow.subject)))
    keys = {
        subject: {"generation": generation, "epoch": epoch, "wrapped": base64.b64encode(wrapped).decode("ascii")}
        for subject, generation, epoch, wrapped in rows
    }
    path = place(platform, bucket)
    keyfiles.make_directory(path.parent)
    keyfiles.write(path, orjson.dumps({"bucket": bucket, "keys": keys}))


def read(platform: Platform, bucket: int) -> dict[SubjectId, tuple[int, int, bytes]]:
    """(generation, epoch, wrapped data key) of each subject at the bucket's last rotation; empty before the first."""
    try:
        found = orjson.loads(place(platform, bucket).read_bytes())
    except FileNotFoundError:
        return {}
    return {
        SubjectId(subject): (key["generation"], key["epoch"], base64.b64decode(key["wrapped"]))
        for subject, key in found["keys"].items()
    }


def place(platform: Platform, bucket: int) -> Path:
    """The file of a bucket: in the journal's failure domain, not the database's."""
    return platform.settings.journal_dir / "wrapped" / f"{bucket:03d}.json"
