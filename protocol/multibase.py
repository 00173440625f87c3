"""Multibase base58btc (`z…`, Controlled Identifiers §2.4), decoded strictly."""

import re

from protocol.errors import EvidenceError

_ALPHABET = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DIGITS = bytes.maketrans(_ALPHABET, bytes(range(58)))
_PAIRS = [high + low for high in _ALPHABET.decode() for low in _ALPHABET.decode()]  # two digits at a time
_WHOLE_CHUNK = 58**10  # digits that stay within a machine word: below 2^63
_HALF_CHUNK = 58**5
_THREE = 58**3
_DIGIT = _ALPHABET.decode()
_MOST = 127  # digits that are read
_BASE58 = re.compile(rf"z[1-9A-HJ-NP-Za-km-z]{{0,{_MOST}}}")
# To read, all digits at once: neighbours of 8 bits make words of 16, these words of 32, and so on up to one of 1,024.
_STEPS = [
    (bits, 58 ** (bits // 8), int.from_bytes((bytes(bits // 8) + b"\xff" * (bits // 8)) * (64 * 8 // bits), "big"))
    for bits in (8, 16, 32, 64, 128, 256, 512)
]


def encode(data: bytes) -> str:
    """Bytes as `z` and base58btc."""
    number, chunks = int.from_bytes(data, "big"), []
    while number:  # ten digits at a time, written out: each event, receipt and box has a digest
        number, chunk = divmod(number, _WHOLE_CHUNK)
        high = chunk // _HALF_CHUNK  # five digits: what is below 2^30 is divided in a third of the time
        low = chunk - high * _HALF_CHUNK
        first, fourth = high // _THREE, low // _THREE
        high -= first * _THREE
        low -= fourth * _THREE
        second, fifth = high // 58, low // 58
        chunks.append(
            f"{_PAIRS[first]}{_PAIRS[second]}{_DIGIT[high - second * 58]}"
            f"{_PAIRS[fourth]}{_PAIRS[fifth]}{_DIGIT[low - fifth * 58]}"
        )
    chunks.reverse()
    return "z" + "1" * (len(data) - len(data.lstrip(b"\0"))) + "".join(chunks).lstrip("1")


def decode(text: object, *, length: int, field: str | None = None) -> bytes:
    """Read `length` bytes from multibase base58btc; EvidenceError `bad_multibase`.

    Every text of the alphabet means bytes that no other text means, so what is accepted is canonical. Not with the
    `base58` library, which takes white space at the end, and long: it costs a third of a signature's verification.
    """
    if not isinstance(text, str) or _BASE58.fullmatch(text) is None:
        raise EvidenceError("bad_multibase", "not multibase base58btc", field=field)
    data = _bytes(text[1:])
    if len(data) != length:
        raise EvidenceError("bad_multibase", f"not {length} bytes", field=field)
    return data


def _bytes(text: str) -> bytes:
    number = int.from_bytes(text.encode().translate(_DIGITS), "big")
    for bits, weight, right in _STEPS:
        number = (number & right) + (number >> bits & right) * weight
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
