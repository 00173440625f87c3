"""What a customer may have several of: a further value is added, none is lost, and the first stays the first. Pure."""

from collections.abc import Collection, Mapping

from crm_core.seal import Value
from protocol.consent import Field

Values = Mapping[Field, Value]
# Where a second value goes.
SPILL: Mapping[Field, Field] = {
    Field("contact.email"): Field("contact.other_emails"),
    Field("contact.phone"): Field("contact.other_phones"),
}


def beside(values: Values) -> frozenset[Field]:
    """The fields that `joined` looks at beside those that are written."""
    return frozenset(each for pair in SPILL.items() if values.keys() & set(pair) for each in pair)


def joined(stored: Values, values: Values, fields: Collection[str]) -> dict[Field, Value]:
    """What is to be stored when these values come to what there is.

    Lists grow. A new e-mail address or phone number takes the place of the old one, which is kept among the others;
    one that is among the others already stays there.
    """
    wanted = dict(values)
    for field, value in values.items():
        wanted[field] = _grown(stored.get(field), value)
    for primary, other in SPILL.items():
        if other in fields and beside(values) >= {primary}:
            _settle(stored, wanted, primary, other)
    return wanted


def _settle(stored: Values, wanted: dict[Field, Value], primary: Field, other: Field) -> None:
    old, new = stored.get(primary), wanted.get(primary)
    others = _texts(wanted.get(other, stored.get(other)))
    if old is not None and new is not None and new != old:
        if new in _texts(stored.get(other)):
            del wanted[primary]
        else:
            others = [*others, str(old)]
    first = wanted.get(primary, old)
    left = list(dict.fromkeys(one for one in others if one != first))
    if left:
        wanted[other] = left
    elif other in wanted:
        del wanted[other]


def _grown(stored: Value | None, value: Value) -> Value:
    if isinstance(stored, list) and isinstance(value, list):
        return [*stored, *(one for one in value if one not in stored)]
    return value


def _texts(value: Value | None) -> list[str]:
    return value if isinstance(value, list) else []
