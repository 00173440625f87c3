"""Which column of an export is which field: headings of HubSpot, Salesforce, Atomic CRM, vCards and their like.

Several columns may lead to one field (an address for work and one for home): the first that is not blank counts, in
the order in which the headings stand in the list below; further e-mail addresses and phone numbers become the
customer's other ones. Every field that is no item's is also known by its label in either language and by its id.
"""

import difflib
import re
import unicodedata
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from crm_core import joining
from issuer.catalogue import Catalogue
from protocol.consent import Field
from protocol.errors import EvidenceError

_HEADINGS: Mapping[str, tuple[str, ...]] = {
    "contact.given_name": (
        "first name", "given name", "firstname", "forename", "n given", "name first", "vorname", "名", "名字",
    ),
    "contact.family_name": (
        "last name", "family name", "surname", "lastname", "n family", "name last", "nachname", "familienname",
        "姓", "姓氏",
    ),
    "contact.email": (
        "email", "e mail", "email address", "primary email", "emails", "email work", "work email", "email home",
        "personal email", "email other", "email 2", "email 3", "e mail adresse", "email adresse", "mailadresse",
        "邮箱", "电子邮箱", "电子邮件", "邮件地址",
    ),
    "contact.other_emails": (
        "additional email addresses", "additional emails", "other emails", "secondary email", "alternate email",
        "npe01 alternateemail c", "其他邮箱",
    ),
    "contact.phone": (
        "phone number", "phone", "business phone", "tel", "phones", "mobile phone number", "mobile phone", "mobile",
        "mobilephone", "telephone", "phone work", "work phone", "home phone", "homephone", "phone home", "phone other",
        "other phone", "otherphone", "assistantphone", "asst phone", "telefon", "telefonnummer", "mobil",
        "mobiltelefon", "handy", "手机", "手机号", "手机号码", "电话", "电话号码",
    ),
    "contact.other_phones": ("additional phone numbers", "additional phones", "other phones", "其他电话"),
    "contact.birth_date": (
        "date of birth", "birth date", "birthdate", "birthday", "bday", "geburtsdatum", "geburtstag",
        "出生日期", "生日",
    ),
    "contact.salutation": ("salutation", "n prefix", "name prefix", "anrede", "称呼"),
    "contact.language": ("preferred language", "language", "lang", "hs language", "sprache", "languages c", "语言"),
    "contact.gender": ("gender", "sex", "geschlecht", "genderidentity", "性别"),
    "contact.profile_url": (
        "linkedin url", "linkedin", "linkedin bio", "hs linkedin url", "profile url", "website url", "url", "个人主页",
    ),
    "identity.customer_number": (
        "customer number", "customer id", "customer no", "account number", "kundennummer", "客户编号", "客户号",
    ),
    "address.street": (
        "street address", "street", "address line 1", "address", "mailing street", "mailingstreet", "adr street",
        "address street", "other street", "otherstreet", "strasse", "straße", "街道", "街道地址", "地址",
    ),
    "address.city": (
        "city", "town", "mailing city", "mailingcity", "adr city", "address city", "other city", "othercity", "ort",
        "stadt", "wohnort", "城市",
    ),
    "address.region": (
        "state region", "state", "region", "province", "mailing state province", "mailing state", "mailingstate",
        "adr region", "address region", "address state", "other state province", "otherstate", "bundesland",
        "省份", "省", "州 地区", "州省",
    ),
    "address.postal_code": (
        "postal code", "zip", "zip code", "postcode", "mailing zip postal code", "mailing zip", "mailingpostalcode",
        "adr code", "address postal code", "address zip", "other zip postal code", "otherpostalcode", "plz",
        "postleitzahl", "邮政编码", "邮编",
    ),
    "address.country": (
        "country region", "country", "mailing country", "mailingcountry", "adr country", "address country",
        "other country", "othercountry", "land", "国家 地区", "国家", "国家或地区",
    ),
    "employment.job_title": ("job title", "title", "position", "berufsbezeichnung", "职位", "职务"),
    "employment.department": ("department", "org department", "abteilung", "部门"),
    "employment.company": (
        "company name", "company", "associated company", "account name", "organization", "organisation",
        "org company", "firma", "firmenname", "unternehmen", "公司", "公司名称",
    ),
    "preference.newsletter": ("has newsletter", "newsletter", "订阅", "是否订阅通讯"),
    "preference.channel": ("preferred channel", "preferred channels", "preferred contact method", "联系方式偏好"),
    "interaction.status": ("status", "lead status", "lifecycle stage", "客户状态", "状态"),
    "interaction.note": (
        "background", "notes", "note", "message", "description", "contact description", "notiz", "notizen",
        "bemerkung", "备注",
    ),
    "interaction.first_seen": ("first seen", "create date", "created date", "createddate", "首次联系时间", "创建日期"),
    "interaction.last_seen": ("last seen", "last activity date", "last activity", "lastactivitydate", "最近联系时间"),
    "interaction.tags": ("tags", "categories", "标签"),
}  # fmt: skip
# By these a row says whom it is about.
KEY = Field("contact.email")
NAMES = (Field("contact.given_name"), Field("contact.family_name"))
NUMBER = Field("identity.customer_number")
_KEPT = 256  # sets of headings whose columns are remembered: JSON Lines and vCards have many
_NAMED = 500  # headings told as left out
_TOLD = 60  # characters of a heading or a field's name in a message
_LINE = 400  # characters of all of them


@dataclass(frozen=True, slots=True)
class Column:
    """One column that is imported: its place from 0, its heading as it stands, the field, its type, several values?"""

    index: int
    heading: str
    field: Field
    type: str
    many: bool = False
    spill: Field | None = None


class Headings:
    """The columns of every set of headings that a source has, found once each."""

    def __init__(self, catalogue: Catalogue, asked: Mapping[str, str]) -> None:
        """`asked` maps headings to fields, or to "" to skip one. Raises EvidenceError `unknown_field`."""
        for name in asked.values():
            entry = catalogue.fields.get(name)
            if name and (entry is None or entry.item is not None):
                raise EvidenceError("unknown_field", _no_such_field(catalogue, name))
        self._catalogue = catalogue
        self._asked = {_plain(heading): name for heading, name in asked.items()}
        self._said = {_plain(heading): heading for heading in asked}
        self._known = headings_of(catalogue)
        self._columns: OrderedDict[tuple[str, ...], tuple[Column, ...]] = OrderedDict()
        self._unseen = set(self._asked)
        self._left_out: dict[str, None] = {}
        self.empty = True

    def columns(self, headings: tuple[str, ...]) -> tuple[Column, ...]:
        """The columns to import, in the order in which they count."""
        found = self._columns.get(headings)
        if found is None:
            found = self._find(headings)
            self._columns[headings] = found
            if len(self._columns) > _KEPT:
                self._columns.popitem(last=False)
        return found

    def left_out(self) -> tuple[str, ...]:
        """Headings that are not imported although nobody said to skip them; at most 500."""
        return tuple(self._left_out)

    def check(self) -> None:
        """Was every heading there that somebody named, and any that is known? EvidenceError `unknown_column`,
        `no_known_columns`.
        """
        if self._unseen:
            unseen = ", ".join(repr(said[:_TOLD]) for plain, said in self._said.items() if plain in self._unseen)
            raise EvidenceError("unknown_column", f"the file has no column with a heading of --map: {unseen[:_LINE]}")
        if self.empty:
            raise EvidenceError(
                "no_known_columns",
                "none of the headings is known. If the first line holds headings, name them with --map column=field "
                "(`fieldgrant crm fields` lists the fields); if it holds a customer, put a line of headings before it",
            )

    def _find(self, headings: tuple[str, ...]) -> tuple[Column, ...]:
        # Of two equal headings the first counts.
        places = {_plain(heading): index for index, heading in reversed(list(enumerate(headings)))}
        chosen = {places[heading]: Field(name) for heading, name in self._asked.items() if heading in places and name}
        self._unseen -= places.keys()
        for heading, field in self._known.items():
            if heading in places and heading not in self._asked:
                chosen.setdefault(places[heading], field)
        for index, heading in enumerate(headings):
            known = index in chosen or _plain(heading) in self._asked
            if not known and heading.strip() and len(self._left_out) < _NAMED:
                self._left_out[heading] = None
        self.empty = self.empty and not chosen
        return tuple(self._column(index, headings[index], field) for index, field in chosen.items())

    def _column(self, index: int, heading: str, field: Field) -> Column:
        entry = self._catalogue.fields[field]
        spill = joining.SPILL.get(field)
        return Column(index, heading, field, entry.type, entry.many, spill if spill in self._catalogue.fields else None)


def headings_of(catalogue: Catalogue) -> dict[str, Field]:
    """Every known heading, plain, with its field, in the order in which they count."""
    known: dict[str, Field] = {}
    fields = {field: entry for field, entry in catalogue.fields.items() if entry.item is None}
    for name, headings in _HEADINGS.items():
        if name in fields:
            for heading in headings:
                known.setdefault(heading, Field(name))
    for name, entry in fields.items():
        for heading in (*entry.labels.values(), name):
            known.setdefault(_plain(heading), Field(name))
    return known


def suggest(catalogue: Catalogue, heading: str, limit: int = 3) -> list[Field]:
    """Fields that an unknown heading may mean, the likeliest first."""
    known = headings_of(catalogue)
    plain = _plain(heading)
    words = set(plain.split())
    near = difflib.get_close_matches(plain, known, n=3 * limit, cutoff=0.55)
    near += [one for one in known if words & {word for word in one.split() if len(word) > 3}]
    return list(dict.fromkeys(known[one] for one in near))[:limit]


def columns(catalogue: Catalogue, headings: Sequence[str], asked: Mapping[str, str]) -> tuple[Column, ...]:
    """The columns of one set of headings. EvidenceError `unknown_field`, `unknown_column`, `no_known_columns`."""
    mapped = Headings(catalogue, asked)
    found = mapped.columns(tuple(headings))
    mapped.check()
    return found


def parse(pairs: Iterable[str], sign: str = "=:") -> dict[str, str]:
    """`column=field` or `column:field` as a mapping; EvidenceError `bad_map`. A field's name holds neither sign."""
    asked: dict[str, str] = {}
    for pair in pairs:
        at = max(pair.rfind(one) for one in sign)
        if at < 1:
            raise EvidenceError("bad_map", "--map wants COLUMN=FIELD", field="map")
        asked[pair[:at]] = pair[at + 1 :].strip()
    return asked


def _no_such_field(catalogue: Catalogue, name: str) -> str:
    if name in catalogue.fields:
        kind = catalogue.fields[name].item
        return (
            f"--map names {name!r}, a field of {kind}s, of which customers have several; an import does not take them"
        )
    fields = [id_ for id_, entry in catalogue.fields.items() if entry.item is None]
    near = difflib.get_close_matches(name.strip().casefold(), fields, n=2, cutoff=0.7)
    hint = f"did you mean {' or '.join(near)}?" if near else "`fieldgrant crm fields` lists them"
    return f"--map names {name[:_TOLD]!r}, which is no field of customers; {hint}"


def _plain(heading: str) -> str:
    """A heading without case, underscores and marks."""
    return " ".join(re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", heading).casefold()).split())
