"""Which column of an export is which field: headings of HubSpot, Atomic CRM and their like, in three languages.

Several columns may lead to one field (an address for work and one for home): the first that is not blank counts, in
the order in which the headings stand in the list below.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from issuer.catalogue import Catalogue
from protocol.consent import Field
from protocol.errors import EvidenceError

_HEADINGS: Mapping[str, tuple[str, ...]] = {
    "contact.given_name": ("first name", "given name", "firstname", "vorname", "名", "名字"),
    "contact.family_name": (
        "last name", "family name", "surname", "lastname", "nachname", "familienname",
        "姓", "姓氏",
    ),
    "contact.email": (
        "email", "e mail", "email address", "primary email", "email work", "work email", "email home", "email other",
        "e mail adresse", "email adresse", "mailadresse",
        "邮箱", "电子邮箱", "电子邮件", "邮件地址",
    ),
    "contact.phone": (
        "phone number", "phone", "mobile phone number", "mobile phone", "mobile", "telephone", "phone work",
        "phone home", "phone other", "telefon", "telefonnummer", "mobil", "mobiltelefon", "handy",
        "手机", "手机号", "手机号码", "电话", "电话号码",
    ),
    "contact.gender": ("gender", "geschlecht", "性别"),
    "contact.profile_url": ("linkedin url", "linkedin", "profile url", "个人主页"),
    "address.city": ("city", "town", "ort", "stadt", "wohnort", "城市"),
    "address.country": ("country region", "country", "land", "国家 地区", "国家", "国家或地区"),
    "employment.job_title": ("job title", "title", "position", "berufsbezeichnung", "职位", "职务"),
    "employment.company": (
        "company name", "company", "associated company", "firma", "firmenname", "unternehmen", "公司", "公司名称",
    ),
    "preference.newsletter": ("has newsletter", "newsletter", "订阅", "是否订阅通讯"),
    "interaction.status": ("status", "lead status", "lifecycle stage", "客户状态", "状态"),
    "interaction.note": ("background", "notes", "note", "message", "notiz", "notizen", "bemerkung", "备注"),
    "interaction.first_seen": ("first seen", "create date", "首次联系时间", "创建日期"),
    "interaction.last_seen": ("last seen", "last activity date", "最近联系时间"),
    "interaction.tags": ("tags", "标签"),
}  # fmt: skip
# By this field two rows are known to be one customer.
KEY = Field("contact.email")
NAMES = (Field("contact.given_name"), Field("contact.family_name"))


@dataclass(frozen=True, slots=True)
class Column:
    """One column that is imported: its place from 0, its heading as it stands, the field and its type."""

    index: int
    heading: str
    field: Field
    type: str


def columns(catalogue: Catalogue, headings: Sequence[str], asked: Mapping[str, str]) -> tuple[Column, ...]:
    """The columns to import, in the order in which they count. `asked` maps headings to fields, or to "" to skip one.

    Raises EvidenceError `unknown_field`, `unknown_column`, `no_known_columns`.
    """
    # Of two equal headings the first counts.
    places = {_plain(heading): index for index, heading in reversed(list(enumerate(headings)))}
    chosen: dict[int, Field] = {}
    skipped: set[int] = set()
    for heading, name in asked.items():
        index = places.get(_plain(heading))
        if index is None:
            raise EvidenceError("unknown_column", "the file has no column with the heading that was named")
        if name and name not in catalogue.fields:
            raise EvidenceError("unknown_field", "a column is mapped to a field that the catalogue does not have")
        if name:
            chosen[index] = Field(name)
        else:
            skipped.add(index)
    for field, known in _HEADINGS.items():
        if field in catalogue.fields:
            for index in (places[heading] for heading in known if heading in places):
                if index not in skipped:
                    chosen.setdefault(index, Field(field))
    if not chosen:
        raise EvidenceError("no_known_columns", "none of the headings is known; name them with --map column=field")
    return tuple(Column(index, headings[index], field, catalogue.fields[field].type) for index, field in chosen.items())


def _plain(heading: str) -> str:
    """A heading without case, underscores and marks."""
    return " ".join(re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", heading).casefold()).split())


def left_out(headings: Sequence[str], taken: Sequence[Column], asked: Mapping[str, str]) -> tuple[str, ...]:
    """Headings of columns that are not imported although nobody said to skip them."""
    skipped = {_plain(heading) for heading in asked}
    indexes = {column.index for column in taken}
    return tuple(
        heading
        for index, heading in enumerate(headings)
        if index not in indexes and heading.strip() and _plain(heading) not in skipped
    )
