"""What the journal says was given, and what of it is missing."""

from runtime.journal_given import ANSWER, APPROVED, CLOSED, NARROWING, Given


def answer(ask: str, consent: str | None) -> dict[str, object]:
    given = {"refusal": {"id": "urn:no"}} if consent is None else {"consent": {"id": consent}}
    return {"kind": ANSWER, "subject": "sub_ann", "evidence": {"ask": {"id": ask}, **given}}


def after(*bodies: dict[str, object]) -> Given:
    given = Given()
    for body in bodies:
        given.take(body)
    return given


def test_a_consent_is_missed_and_one_that_is_there_is_not() -> None:
    given = after(answer("urn:ask:1", "urn:1"), answer("urn:ask:2", "urn:2"))
    assert given.consents_missing("sub_ann", ["urn:1"])
    assert not given.consents_missing("sub_ann", ["urn:1", "urn:2", "urn:3"])
    assert not given.consents_missing("sub_ben", [])


def test_of_several_answers_to_an_ask_the_last_one_counts() -> None:
    given = after(answer("urn:ask:1", "urn:1"), answer("urn:ask:2", "urn:2"), answer("urn:ask:1", "urn:3"))
    assert not given.consents_missing("sub_ann", ["urn:2", "urn:3"])
    assert given.consents_missing("sub_ann", ["urn:1", "urn:2"])


def test_an_ask_that_was_refused_or_closed_afterwards_was_never_answered() -> None:
    closed = {"kind": CLOSED, "id": "urn:ask:2", "subject": "sub_ann"}
    given = after(answer("urn:ask:1", "urn:1"), answer("urn:ask:2", "urn:2"), answer("urn:ask:1", None), closed)
    assert not given.consents_missing("sub_ann", [])


def test_a_lift_is_no_answer_to_an_ask_and_a_draft_no_subjects() -> None:
    lift = {"kind": ANSWER, "subject": "sub_ann", "evidence": {"lift": {"id": "urn:lift"}}}
    given = after(lift, {"kind": CLOSED, "id": "urn:draft"})
    assert not given.consents_missing("sub_ann", [])


def test_a_ground_speaks_of_everyone_or_of_those_whom_it_names() -> None:
    def approved(id_: str, *whom: str) -> dict[str, object]:
        claim = {"declaresGround": {"coversSubject": list(whom)}}
        return {"kind": APPROVED, "ground": {"id": id_, "credentialSubject": claim}}

    given = after(approved("urn:all", "*"), approved("urn:two", "sub_ann", "sub_eve"))
    assert given.grounds("sub_ann") == {"urn:all", "urn:two"}
    assert given.grounds("sub_ben") == {"urn:all"}


def narrowed(ask: str, old: str, new: str) -> dict[str, object]:
    evidence = {"ask": {"id": ask}, "given": {"id": old}, "consent": {"id": new}}
    return {"kind": NARROWING, "subject": "sub_ann", "ended": [old], "evidence": evidence}


def test_what_a_narrowing_brings_is_named_until_its_offer_is_answered_otherwise_or_closed() -> None:
    first, again = narrowed("urn:offer", "urn:1", "urn:2"), narrowed("urn:offer", "urn:1", "urn:3")
    assert after(first).named("sub_ann") == {"urn:1", "urn:2"}
    assert after(first, first).named("sub_ann") == {"urn:1", "urn:2"}
    assert after(first, again).named("sub_ann") == {"urn:1", "urn:3"}
    assert after(first, answer("urn:offer", None)).named("sub_ann") == {"urn:1"}
    closed = {"kind": CLOSED, "id": "urn:offer", "subject": "sub_ann"}
    assert after(first, closed).named("sub_ann") == {"urn:1"}
    assert after(first, {**closed, "subject": "sub_ben"}).named("sub_ann") == {"urn:1", "urn:2"}


def test_an_ask_was_answered_by_the_last_consent_to_it_alone() -> None:
    given = after(answer("urn:ask:1", "urn:1"), answer("urn:ask:1", "urn:2"), narrowed("urn:offer", "urn:2", "urn:3"))
    assert given.answered("sub_ann", "urn:ask:1", ["urn:1", "urn:2"])
    assert not given.answered("sub_ann", "urn:ask:1", ["urn:1", "urn:3"])
    assert given.answered("sub_ann", "urn:offer", ["urn:3"])
    assert not given.answered("sub_ben", "urn:ask:1", ["urn:2"])


def test_an_answer_counts_until_another_or_the_end_of_its_ask() -> None:
    yes, no = answer("urn:ask:1", "urn:1"), answer("urn:ask:1", None)
    closed = {"kind": CLOSED, "id": "urn:ask:1", "subject": "sub_ann"}
    assert after(yes).counts(yes)
    assert after(no).counts(no)
    assert [after(yes, no).counts(one) for one in (yes, no)] == [False, True]
    assert [after(no, yes).counts(one) for one in (yes, no)] == [True, False]
    assert not any(after(one, closed).counts(one) for one in (yes, no))
    assert not after(yes).counts({"kind": ANSWER, "subject": "sub_ann", "evidence": {"lift": {"id": "urn:lift"}}})
