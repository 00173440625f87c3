"""The rules by which two rows, or a row and a customer, are known to be one: e-mail, phone and name, number. Pure."""

import unicodedata
from collections.abc import Mapping
from typing import Literal, get_args

from crm_core.seal import Value
from protocol.consent import Field
from protocol.errors import EvidenceError

Rule = Literal["email", "phone+name", "customer-number"]
RULES: tuple[Rule, ...] = get_args(Rule)
_EMAILS = (Field("contact.email"), Field("contact.other_emails"))
_PHONES = (Field("contact.phone"), Field("contact.other_phones"))
_NAMES = (Field("contact.given_name"), Field("contact.family_name"))
_NUMBER = Field("identity.customer_number")
_FIELDS: Mapping[Rule, tuple[Field, ...]] = {
    "email": _EMAILS, "phone+name": (*_PHONES, *_NAMES), "customer-number": (_NUMBER,),
}  # fmt: skip
# Country code, trunk prefix and the usual lengths of a national number without it, to compare numbers given without
# a country: a rule of thumb for comparing, nothing of it is stored.
_DIALLING: Mapping[str, tuple[str, str]] = {
    "CN": ("86", "0"), "HK": ("852", ""), "TW": ("886", "0"), "SG": ("65", ""), "JP": ("81", "0"), "KR": ("82", "0"),
    "IN": ("91", "0"), "AU": ("61", "0"), "US": ("1", "1"), "CA": ("1", "1"), "GB": ("44", "0"), "IE": ("353", "0"),
    "DE": ("49", "0"), "AT": ("43", "0"), "CH": ("41", "0"), "FR": ("33", "0"), "NL": ("31", "0"), "IT": ("39", ""),
    "ES": ("34", ""), "PL": ("48", ""), "SE": ("46", "0"), "BR": ("55", "0"), "AE": ("971", "0"),
}  # fmt: skip


def rules(text: str) -> tuple[Rule, ...]:
    """Rules parted by commas, the first counts first; "" for none. EvidenceError `unknown_rule`."""
    found: list[Rule] = []
    for name in filter(None, (part.strip().lower() for part in text.split(","))):
        rule = next((one for one in RULES if one == name), None)
        if rule is None:
            raise EvidenceError("unknown_rule", f"a rule is one of {', '.join(RULES)}", field="match")
        if rule not in found:
            found.append(rule)
    return tuple(found)


def fields(chosen: tuple[Rule, ...]) -> tuple[Field, ...]:
    """The fields that these rules look at."""
    return tuple(dict.fromkeys(field for rule in chosen for field in _FIELDS[rule]))


def keys(values: Mapping[Field, Value], chosen: tuple[Rule, ...], home: str) -> list[tuple[Rule, str]]:
    """What is compared, the strongest first. `home` is the jurisdiction whose phone numbers need no country code."""
    found: list[tuple[Rule, str]] = []
    for rule in chosen:
        if rule == "email":
            texts = _texts(values, _EMAILS)
        elif rule == "phone+name":
            phones = _texts(values, _PHONES)
            name = "\x1f".join([_folded(str(values.get(field, ""))) for field in _NAMES]) if phones else ""
            texts = [f"{dialled(number, home)}\x1f{name}" for number in phones] if name.strip("\x1f ") else []
        else:
            texts = [_folded(text) for text in _texts(values, (_NUMBER,))]
        if texts:
            found += [(rule, f"{rule}:{text}") for text in (dict.fromkeys(texts) if len(texts) > 1 else texts)]
    return found


def dialled(number: str, home: str) -> str:
    """A number in its normal form, in the manner of E.164: `+`, country code, digits, without an extension."""
    digits = number.partition("x")[0]
    if digits.startswith("+"):
        return digits
    if digits.startswith("00"):
        return f"+{digits[2:]}"
    country, trunk = _DIALLING.get(home, ("", ""))
    if not country or len(digits) < 7:
        return digits
    return f"+{country}{digits.removeprefix(trunk)}"


def _texts(values: Mapping[Field, Value], names: tuple[Field, ...]) -> list[str]:
    found: list[str] = []
    for name in names:
        value = values.get(name)
        if isinstance(value, list):
            found += value
        elif value is not None:
            found.append(str(value))
    return found


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
