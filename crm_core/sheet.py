"""A CSV file (RFC 4180) as rows: UTF-8 with or without a mark, UTF-16 with one, GB18030 when UTF-8 fails."""

import codecs
import csv
import io
from collections.abc import Iterator

from protocol.errors import EvidenceError

MAX_BYTES = 64 * 2**20
MAX_COLUMNS = 500
_DELIMITERS = ",;\t|"


def rows(data: bytes) -> Iterator[list[str]]:
    """The rows as they stand, headings first, empty lines left out; decoded in a stream, never written anywhere.

    Raises EvidenceError `too_large`, `bad_encoding`, `bad_csv`, `too_many_columns`; none of them quotes the file.
    """
    if len(data) > MAX_BYTES:
        raise EvidenceError("too_large", f"the file has more than {MAX_BYTES // 2**20} MiB")
    encoding = _encoding(data)
    text = io.TextIOWrapper(io.BytesIO(data), encoding=encoding, newline="")
    delimiter = _delimiter(text.readline(65536))
    text.seek(0)
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    count = 0
    try:
        for row in reader:
            if len(row) > MAX_COLUMNS:
                raise EvidenceError("too_many_columns", f"row {count} has more than {MAX_COLUMNS} columns")
            if any(row):
                yield row
                count += 1
    except csv.Error:
        raise EvidenceError("bad_csv", f"the file breaks off or is no CSV behind row {max(count - 1, 0)}") from None


def _encoding(data: bytes) -> str:
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    candidates = ["utf-16"] if marked else ["utf-8-sig", "gb18030"]
    for encoding in candidates:
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            for start in range(0, len(data), 2**20):
                decoder.decode(data[start : start + 2**20])
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    raise EvidenceError("bad_encoding", "the file is neither UTF-8 nor GB18030 text: save it as CSV UTF-8") from None


def _delimiter(headings: str) -> str:
    return max(_DELIMITERS, key=headings.count)
