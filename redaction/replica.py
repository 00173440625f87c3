"""The replica of wrapped data keys: outside the database, per bucket, in its latest version only.

Rotating a bucket kills the wrapped data keys in every older backup, those of customers who withdrew nothing too. So
before the old bucket key is destroyed, all data keys of the bucket are made durable beside the journal, wrapped under
the new epoch. An older backup rolled forward takes cells from the journal's survivors and data keys from here.

Small buckets that lie beside each other have one file together, a line each: where many are rotated at once, most of
what a replica costs is to make its file durable. A large bucket has a file of its own. One that grew, or shrank, across
that line may be found in both: of each customer the newest key counts.

One worker at a time reads the data keys and writes them: one that stood still in between would put what it read in the
place of what another has written since, under a key that is destroyed by then.
"""

import base64
from binascii import b2a_base64
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import orjson

from crm_core import records
from protocol.consent import SubjectId
from redaction import missing
from redaction.missing import Expected
from runtime import keyfiles
from runtime.platform import Platform

_AT_ONCE = 8_000_000  # bytes of replicas made before they are written, side by side: a bucket of 60,000 keys
_SMALL = 32  # data keys of a bucket that shares a file: who rotates one alone writes its neighbours' again, some 50 kB
_TOGETHER = 16  # buckets of a common file

Key = tuple[int, int, bytes]  # generation, epoch, wrapped data key
Known = tuple[SubjectId, int, bytes]  # whose, of which generation: another's data key does not open what is theirs


def write_all(
    platform: Platform,
    buckets: Sequence[tuple[int, int]],
    known: Mapping[int, Collection[Known]] | None = None,
    expected: Expected | None = None,
) -> None:
    """Replace the replicas of these buckets, now under these epochs, by what the database holds; durable on return.

    No lock of the database. Each key that is not among the `known` ones of its bucket has to open under its epoch: a
    column that only says so would have the key destroyed that it rests under. The key of a customer whose record has
    gone is carried on: an older copy of the database has it. `expected` is who has to be in a bucket without a replica.
    Raises OSError, KeyGone, EvidenceError `bad_data_key`, `record_missing`.
    """
    directory = _directory(platform)
    keyfiles.make_directory(directory)
    left = list(buckets)
    expected = expected or Expected([bucket for bucket, _ in buckets])
    with keyfiles.locked(directory / ".lock"):  # also before it is read: see above
        while left:
            size, whole, lines = 0, dict[Path, bytes](), dict[Path, dict[int, bytes]]()
            with platform.database.read() as session:
                while left and size <= _AT_ONCE:
                    bucket, epoch = left.pop()
                    before = read(platform, bucket)
                    # as of the keys' snapshot, or an earlier one: who comes later is expected by nobody
                    wanted = () if before else expected.of(session, bucket)
                    keys = records.wrapped_keys(session, bucket)
                    missing.refuse(wanted, keys)
                    keys += missing.carried(session, platform, before, keys, (bucket, epoch))
                    content = _replica(platform, keys, bucket, epoch, (known or {}).get(bucket, ()))
                    size += len(content)
                    if len(keys) > _SMALL:
                        whole[place(platform, bucket)] = content
                    else:
                        lines.setdefault(common(platform, bucket), {})[bucket] = content
            keyfiles.write_all(whole | {path: _merged(path, some) for path, some in lines.items()})


def _merged(path: Path, lines: Mapping[int, bytes]) -> bytes:
    """A common file with these lines in the place of earlier ones of their buckets."""
    kept = _lines(path) | dict(lines)
    return b"".join(b"%03d %s\n" % (bucket, kept[bucket]) for bucket in sorted(kept))


def _lines(path: Path) -> dict[int, bytes]:
    """The replicas in a common file, by bucket."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    parted = (line.partition(b" ") for line in content.split(b"\n"))
    return {int(bucket): replica for bucket, _, replica in parted if len(bucket) == 3 and bucket.isdigit()}


def _replica(
    platform: Platform, keys: Sequence[records.Wrapped], bucket: int, epoch: int, known: Collection[Known]
) -> bytes:
    unknown = [one for one in keys if one[2] != epoch or (one[0], one[1], one[3]) not in known]
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


def read(platform: Platform, bucket: int) -> dict[SubjectId, Key]:
    """(generation, epoch, wrapped data key) of each subject at the bucket's last rotation; empty before the first.

    A file that somebody broke is as good as none: what it says has to open anyway.
    """
    with suppress(FileNotFoundError):
        alone = _read(place(platform, bucket).read_bytes())
        return _newest(alone, _read(_lines(common(platform, bucket)).get(bucket, b"")))
    return _read(_lines(common(platform, bucket)).get(bucket, b""))


def _newest(one: dict[SubjectId, Key], other: Mapping[SubjectId, Key]) -> dict[SubjectId, Key]:
    for subject, key in other.items():
        one[subject] = max(key, one.get(subject, key))
    return one


def _read(content: bytes) -> dict[SubjectId, Key]:
    try:
        found = orjson.loads(content)
        columns = (found["subjects"], found["generations"], found["epochs"], found["wrapped"])
        return {
            SubjectId(subject): (int(generation), int(epoch), base64.b64decode(wrapped))
            for subject, generation, epoch, wrapped in zip(*columns, strict=True)
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def place(platform: Platform, bucket: int) -> Path:
    """The file of a large bucket: in the journal's failure domain, not the database's."""
    return _directory(platform) / f"{bucket:03d}.json"


def common(platform: Platform, bucket: int) -> Path:
    """The file that a small bucket shares with its neighbours."""
    return _directory(platform) / f"some-{bucket // _TOGETHER:02d}.txt"


def _directory(platform: Platform) -> Path:
    return platform.settings.journal_dir / "wrapped"
