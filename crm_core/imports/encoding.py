"""In which encoding a text file was written: told by its mark, or by what alone makes sense of its bytes.

Nearly any bytes are "valid" GB18030, Windows-1252 too ("Müller" decodes to a rare ideograph), so that a file which is
not UTF-8 is taken for GB18030 only where the decoded text is plausible: most of what is not ASCII in it must be
characters of everyday Chinese (GB 2312), and no lone one inside a word of small Latin letters ("Größe" would decode to
an everyday one). Everything else wants to be told.
"""

import codecs
import io
import re
from typing import BinaryIO

from protocol.errors import EvidenceError

# What `--encoding` takes.
FORCED = (
    "utf-8", "utf-16", "gb18030", "gbk", "big5", "windows-1250", "windows-1251", "windows-1252", "windows-1254",
    "windows-1256", "iso-8859-1", "iso-8859-15", "shift_jis", "euc-jp", "euc-kr", "mac-roman",
)  # fmt: skip
_CHUNK = 2**20
_SAMPLE = 20_000  # characters that are not ASCII: enough to judge
_PLAUSIBLE = 0.6
_STRANGE = re.compile(r"([a-z]?)([^\x00-\x7f]+)(?=([a-z]?))")
_UTF32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def detect(stream: BinaryIO) -> str:
    """Python's name of the encoding: `utf-8-sig` (with or without mark), `utf-16`, `gb18030`; reads all of the stream.

    Raises EvidenceError `bad_encoding`, saying where UTF-8 ends and how to name the encoding; it quotes nothing.
    """
    start = stream.read(4)
    stream.seek(0)
    if start.startswith(_UTF32):
        raise EvidenceError("bad_encoding", "the file is UTF-32: save it as UTF-8")
    if start.startswith(_UTF16):
        if _broken_at(stream, "utf-16") is not None:
            raise EvidenceError("bad_encoding", "the file says that it is UTF-16 and is not")
        return "utf-16"
    broken = _broken_at(stream, "utf-8-sig")
    if broken is None:
        return "utf-8-sig"
    stream.seek(0)
    if _plausible(stream):
        return "gb18030"
    raise EvidenceError(
        "bad_encoding",
        f"the file is neither UTF-8 (broken in the MiB from byte {broken} on) nor plausible GB18030: save it as UTF-8, "
        f"or name what it is with --encoding ({', '.join(FORCED[5:8])}, …)",
    )


def forced(name: str) -> str:
    """Python's name of an encoding that somebody named. Raises EvidenceError `unknown_encoding`."""
    if name.lower() not in FORCED:
        raise EvidenceError("unknown_encoding", f"an encoding is one of {', '.join(FORCED)}")
    return "utf-8-sig" if name.lower() == "utf-8" else name.lower()


def text(stream: BinaryIO, encoding: str) -> io.TextIOWrapper:
    """The stream's text, decoded strictly and as it is read, line ends as they are."""
    return io.TextIOWrapper(stream, encoding=encoding, errors="strict", newline="")


def shown(encoding: str) -> str:
    """The name as people write it."""
    return {"utf-8-sig": "UTF-8", "utf-16": "UTF-16", "gb18030": "GB18030"}.get(encoding, encoding)


def _broken_at(stream: BinaryIO, encoding: str) -> int | None:
    decoder = codecs.getincrementaldecoder(encoding)()
    at = 0
    while True:
        chunk = stream.read(_CHUNK)
        try:
            decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError:
            return at
        if not chunk:
            return None
        at += len(chunk)


def _plausible(stream: BinaryIO) -> bool:
    decoder = codecs.getincrementaldecoder("gb18030")()
    seen = everyday = 0
    while True:
        chunk = stream.read(_CHUNK)
        try:
            decoded = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError:
            return False
        if seen < _SAMPLE:
            for before, strange, after in _STRANGE.findall(decoded):
                seen += len(strange)
                if len(strange) > 1 or not (before or after):
                    everyday += sum(map(_everyday, strange))
        if not chunk:
            return everyday >= _PLAUSIBLE * seen


def _everyday(character: str) -> bool:
    try:
        return len(character.encode("gb2312")) == 2
    except UnicodeEncodeError:
        return False
