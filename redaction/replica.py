"""The replica of wrapped data keys: outside the database, per bucket, in its latest version only.

Rotating a bucket kills the wrapped data keys in every older backup, those of customers who withdrew nothing too. So
before the old bucket key is destroyed, all data keys of the bucket are made durable beside the journal, wrapped under
the new epoch. An older backup rolled forward takes cells from the journal's survivors and data keys from here.

One worker at a time reads the data keys and writes them: one that stood still in between would put what it read in the
place of what another has written since, under a key that is destroyed by then.
"""

import base64
from binascii import b2a_base64
from collections.abc import Collection, Sequence
from pathlib import Path

import orjson

from crm_core import records
from protocol.consent import SubjectId
from runtime import keyfiles
from runtime.platform import Platform

_AT_ONCE = 8_000_000  # bytes of replicas made before they are written, side by side: a bucket of 60,000 keys


def write_all(platform: Platform, buckets: Sequence[tuple[int, int]], known: Collection[bytes] = ()) -> None:
    """Replace the replicas of these buckets, now under these epochs, by what the database holds; durable on return.

    No lock of the database. Each key that is not among the `known` ones has to open under its epoch: a column that only
    says so would have the key destroyed that it rests under. Raises OSError, KeyGone, EvidenceError `bad_data_key`.
    """
    directory = _directory(platform)
    keyfiles.make_directory(directory)
    files: dict[Path, bytes] = {}
    left = list(buckets)
    with keyfiles.locked(directory / ".lock"):
        while left:
            with platform.database.read() as session:
                while left and sum(map(len, files.values())) <= _AT_ONCE:
                    bucket, epoch = left.pop()
                    keys = records.wrapped_keys(session, bucket)
                    files[place(platform, bucket)] = _replica(platform, keys, bucket, epoch, known)
            keyfiles.write_all(files)
            files.clear()


def _replica(
    platform: Platform, keys: Sequence[records.Wrapped], bucket: int, epoch: int, known: Collection[bytes]
) -> bytes:
    unknown = [one for one in keys if one[2] != epoch or one[3] not in known]
    records.refuse_foreign(platform, unknown, bucket, epoch)
    # by columns: that is half of the time for 40,000 keys
    subjects, generations, epochs, wrapped = zip(*keys, strict=True) if keys else ((), (), (), ())
    columns = {
        "bucket": bucket,
        "subjects": subjects,
        "generations": generations,
        "epochs": epochs,
        "wrapped": [b2a_base64(one, newline=False).decode("ascii") for one in wrapped],
    }
    return orjson.dumps(columns)


def read(platform: Platform, bucket: int) -> dict[SubjectId, tuple[int, int, bytes]]:
    """(generation, epoch, wrapped data key) of each subject at the bucket's last rotation; empty before the first.

    A file that somebody broke is as good as none: what it says has to open anyway.
    """
    try:
        found = orjson.loads(place(platform, bucket).read_bytes())
        columns = (found["subjects"], found["generations"], found["epochs"], found["wrapped"])
        return {
            SubjectId(subject): (int(generation), int(epoch), base64.b64decode(wrapped))
            for subject, generation, epoch, wrapped in zip(*columns, strict=True)
        }
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def place(platform: Platform, bucket: int) -> Path:
    """The file of a bucket: in the journal's failure domain, not the database's."""
    return _directory(platform) / f"{bucket:03d}.json"


def _directory(platform: Platform) -> Path:
    return platform.settings.journal_dir / "wrapped"
