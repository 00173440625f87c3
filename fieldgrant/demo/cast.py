"""The people of the journey, chosen from whatever contacts file was given, and the letters they receive."""

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path

from crm_core.seal import Value
from protocol.consent import Field

MAIL = "contact.email"
PHONE = "contact.phone"
NAMES = ("contact.given_name", "contact.family_name")
SECOND = ("address.city", "employment.job_title", "employment.company", "address.country")
LINK = re.compile(r"fieldgrant://enrol\?\S+")
CODE = re.compile(r"(?<!\d)(\d{8})(?!\d)")


@dataclass(slots=True)
class Person:
    """One row of the contacts file as the person themselves knows it, and what the journey learns about them."""

    values: Mapping[str, str]
    subject: str = ""
    links: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Given and family name."""
        return " ".join(self.values[part] for part in NAMES if self.values.get(part))


@dataclass(slots=True)
class Cast:
    """Three customers, a fourth whom staff will try to enrol, and the values to look for on disk.

    `second` is the field that is granted beside the e-mail address: the city, where the file has one.
    """

    people: list[Person] = field(default_factory=list)
    second: str = SECOND[0]
    planted: list[str] = field(default_factory=list)


def choose(found: Iterable[Mapping[Field, Value]], *, planted_rows: int = 40) -> Cast | None:
    """Pick four people with names of their own, e-mail, phone and a common second field; None where there are none.

    `found` maps catalogue fields to normalised values. Only values of eight and more characters are looked for later:
    shorter ones turn up in ciphertext by chance.
    """
    rows = [{str(name): value for name, value in row.items() if isinstance(value, str)} for row in found]
    counts: dict[tuple[str | None, ...], int] = {}
    mails: dict[str | None, int] = {}
    for row in rows:
        key = tuple(row.get(name) for name in NAMES)
        counts[key] = counts.get(key, 0) + 1
        mails[row.get(MAIL)] = mails.get(row.get(MAIL), 0) + 1
    for second in SECOND:
        fit = [
            row
            for row in rows
            if all(row.get(name) for name in (*NAMES, MAIL, PHONE, second))
            and counts[tuple(row.get(name) for name in NAMES)] == 1
            and mails[row.get(MAIL)] == 1
        ]
        if len(fit) >= 4:
            people = [Person(row) for row in fit[:4]]
            sources = [row for row in rows if row.get(MAIL)][:planted_rows] + fit[:4]
            values = {row[name] for row in sources for name in (MAIL, PHONE) if row.get(name)}
            texts = {row.get(name, "") for row in sources for name in (second, *NAMES)}
            values |= {text for text in texts if len(text.encode()) >= 10}
            return Cast(people, second, sorted(value for value in values if len(value.encode()) >= 8))
    return None


def letter(mail: Path, address: str, pattern: re.Pattern[str], *, known: Iterable[str] = (), wait: float = 15.0) -> str:
    """What a customer finds in the newest letter to them: the link or the code. Empty when nothing came in time.

    `known` are finds of earlier letters, which do not count.
    """
    until = time.monotonic() + wait
    while time.monotonic() < until:
        for path in sorted(mail.glob("*.eml"), reverse=True):
            message = message_from_bytes(path.read_bytes(), policy=policy.default)
            if address not in str(message["To"]):
                continue
            body = message.get_body(("plain",))
            found = pattern.search(body.get_content() if body else "")
            if found and found[0] not in known:
                return found[0]
        time.sleep(0.1)
    return ""
