"""The normal form of each type of field, so that one value has one spelling; what has none is refused by a code."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

from crm_core.seal import Value
from protocol import times
from protocol.errors import EvidenceError

MAX_TEXT = 20_000  # characters
MAX_MANY = 50  # values of one field
MAX_EMAIL = 254  # RFC 5321, 4.5.3.1.3

_ATOM = r"[\w!#$%&'*+/=?^`{|}~-]+"
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_EMAIL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+{_LABEL}")
_EXTENSION = re.compile(r"(?:;?ext\.?=?|x|#|转|分机)\s*(\d{1,7})$")
_PHONE_MARKS = re.compile(r"[\s().\-/–—]|tel:")
_TRUE = frozenset({"true", "yes", "y", "1", "on", "t", "是", "已订阅"})
_FALSE = frozenset({"false", "no", "n", "0", "off", "f", "否", "未订阅"})
_DATES = (
    "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y/%m/%d", "%Y/%m/%d %H:%M", "%m/%d/%Y", "%m/%d/%Y %H:%M",
    "%d.%m.%Y", "%d.%m.%Y %H:%M", "%Y年%m月%d日",
)  # fmt: skip
_MONEY = re.compile(r"^(?:[$€£¥￥]|[A-Z]{3} )\s*|\s*(?:%|[$€£元]|[A-Z]{3})$")
_ENGLISH = re.compile(r"-?(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.\d+)?")
_GERMAN = re.compile(r"-?(?:\d+|\d{1,3}(?:\.\d{3})+),\d+")
_LARGEST = 2**53 - 1
# Several in one cell; a semicolon before an extension (RFC 3966) parts nothing.
_PARTED: Mapping[str, re.Pattern[str]] = {
    "email": re.compile(r"[;,，；、\n\r|]|(?<!\s)\s+(?=\S+@)"),  # a run of blanks is tried once
    "phone": re.compile(r"[；\n\r|]|;(?!\s*ext)"),
    "": re.compile(r"[;；\n\r|]"),
}


def normal(type_: str, text: str) -> Value | None:
    """The value that a cell's text stands for; None for a blank one.

    Raises EvidenceError `too_long`, `bad_text`, `bad_email`, `bad_phone`, `bad_boolean`, `bad_url`, `bad_datetime`,
    `bad_date`, `bad_number`.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    text = text.strip()
    if not text:
        return None
    if len(text) > MAX_TEXT:
        raise EvidenceError("too_long", f"a value has more than {MAX_TEXT} characters")
    if not text.isprintable() and any(
        unicodedata.category(mark) in {"Cc", "Cs", "Co", "Cn"} and mark not in "\t\n\r" for mark in text
    ):
        raise EvidenceError("bad_text", "a value holds characters that are no text")
    value = _FORMS.get(type_, _text)(text)
    return None if value == "" else value  # brackets without a tag, blanks that only a normal form shows


def many(type_: str, texts: Iterable[str]) -> list[str]:
    """The texts' values, each once, in their order; blank ones are left out.

    Raises EvidenceError `too_many` and what `normal` raises.
    """
    values = (normal(type_, text) for text in texts)
    found = list(dict.fromkeys(str(value) for value in values if value is not None))
    if len(found) > MAX_MANY:
        raise EvidenceError("too_many", f"a field has more than {MAX_MANY} values")
    return found


def parted(type_: str, text: str) -> list[str]:
    """The several values that one cell holds, as texts."""
    return [part for part in _PARTED.get(type_, _PARTED[""]).split(text) if part and part.strip()]


def email(text: str) -> str:
    """An address in small letters (RFC 5321 in its everyday form, RFC 6531 letters). EvidenceError `bad_email`."""
    address = unicodedata.normalize("NFKC", text).strip().casefold()
    local = address.partition("@")[0]
    if len(address) > MAX_EMAIL or len(local) > 64 or not _EMAIL.fullmatch(address):
        raise EvidenceError("bad_email", "this is no e-mail address")
    return address


def phone(text: str) -> str:
    """Digits, with `+` in front where it was given and `x` before an extension. EvidenceError `bad_phone`."""
    number = unicodedata.normalize("NFKC", text).casefold().strip()
    found = _EXTENSION.search(number)
    extension = f"x{found[1]}" if found else ""
    number = _PHONE_MARKS.sub("", number[: found.start()] if found else number)
    plus = "+" if number.startswith("+") else ""
    digits = number.removeprefix("+")
    if not (digits.isascii() and digits.isdecimal() and 3 <= len(digits) <= 20):
        raise EvidenceError("bad_phone", "this is no phone number")
    return f"{plus}{digits}{extension}"


def _text(text: str) -> str:
    return " ".join(text.split(" ")) if "\n" in text else " ".join(text.split())


def _boolean(text: str) -> bool:
    word = text.casefold()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise EvidenceError("bad_boolean", "this is neither yes nor no")


def _url(text: str) -> str:
    address = text if "://" in text else f"https://{text}"
    try:
        parts = urlsplit(address)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname or any(mark.isspace() for mark in address):
        raise EvidenceError("bad_url", "this is no web address")
    return address


def _datetime(text: str) -> str:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = _by_pattern(text)
    try:
        return times.iso(at if at.tzinfo else at.replace(tzinfo=UTC))
    except OverflowError:
        raise EvidenceError("bad_datetime", "this is no date or time") from None


def date(text: str) -> str:
    """A calendar date as `YYYY-MM-DD`; of a date with a time the date as it stands. EvidenceError `bad_date`."""
    try:
        return datetime.fromisoformat(text).date().isoformat()
    except ValueError:
        pass
    try:
        return _by_pattern(text).date().isoformat()
    except EvidenceError:
        raise EvidenceError("bad_date", "this is no date") from None


def number(text: str) -> int | float:
    """A number, its thousands parted by commas or not, with a currency or a per cent sign or without.

    A decimal comma is read where nothing else can be meant (`1.234,5`, `3,5`). EvidenceError `bad_number`.
    """
    plain = _MONEY.sub("", _MONEY.sub("", text)).replace("\u00a0", "").replace(" ", "").replace("\u2212", "-")
    if _ENGLISH.fullmatch(plain):
        plain = plain.replace(",", "")
    elif _GERMAN.fullmatch(plain):
        plain = plain.replace(".", "").replace(",", ".")
    else:
        raise EvidenceError("bad_number", "this is no number")
    if len(plain) > 40 or abs(float(plain)) > _LARGEST:
        raise EvidenceError("bad_number", "this number is too large")
    value = float(plain)
    return int(value) if value.is_integer() else value


def _by_pattern(text: str) -> datetime:
    for pattern in _DATES:
        try:
            return datetime.strptime(text, pattern).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise EvidenceError("bad_datetime", "this is no date or time")


def _tags(text: str) -> str:
    """Tags in their order, each once, parted by commas."""
    tags = (" ".join(tag.split()).strip('"{}[] ') for tag in re.split(r"[,;|，；、]", text))
    return ", ".join(dict.fromkeys(tag for tag in tags if tag))


_FORMS: Mapping[str, Callable[[str], Value]] = {
    "text": _text,
    "email": email,
    "phone": phone,
    "boolean": _boolean,
    "url": _url,
    "datetime": _datetime,
    "tags": _tags,
    "date": date,
    "number": number,
}
