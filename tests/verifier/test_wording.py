"""The record of a release as text is JCS of what the passage tells, for whatever is released."""

from hypothesis import given
from hypothesis import strategies as st

from protocol import canonical
from verifier import wording
from verifier.passage import Verdict, told
from verifier.rule import Reason

FIELDS = ("address.city", "contact.email", "contact.given_name", "contact.other_phones", "health.allergies")
fields = st.frozensets(st.sampled_from(FIELDS))
texts = st.text(st.characters(exclude_categories=("Cs",), max_codepoint=0xFFFF), max_size=12)


@st.composite
def verdicts(draw: st.DrawFn) -> Verdict:
    released = draw(fields)
    reasons = {field: draw(st.sampled_from(tuple(Reason))) for field in FIELDS if field not in released}
    return Verdict(
        subject=draw(texts), released=released, reasons=reasons, version=draw(st.integers(0, 2**53 - 1)),
        grounds=draw(st.dictionaries(texts, fields, max_size=3)),
    )  # fmt: skip


@given(st.lists(st.tuples(verdicts(), fields), max_size=6))
def test_the_text_is_the_canonical_form_of_what_is_told(several: list[tuple[Verdict, frozenset[str]]]) -> None:
    words = wording.Wording()
    for verdict, asked in several:
        expected = canonical.jcs({"subject": verdict.subject, "data": told(verdict, asked)})
        assert words.of(verdict, asked).encode() == expected


def test_the_text_for_nobody_is_canonical() -> None:
    assert wording.NOBODY.encode() == canonical.jcs([{"subject": None, "data": {"released": []}}])
