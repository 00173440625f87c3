"""The rule as properties: what may and what may not change an answer, whatever the grants."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from protocol.consent import USE, Field, GroundId, Jurisdiction, Processing, Purpose, SubjectId
from protocol.did import Did
from verifier.grant import Grant, ReadRequest
from verifier.rule import Reason, decide, next_change, reason

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
FIELDS = [Field(name) for name in ("contact.email", "contact.phone", "address.city")]
PURPOSES = [Purpose(f"https://w3id.org/dpv#{name}") for name in ("DirectMarketing", "CustomerCare")]
RECIPIENTS = [Did("did:web:us"), Did("did:web:them")]
PLACES = [Jurisdiction("CN"), Jurisdiction("DE")]
PROCESSINGS = [USE, Processing("dpv:Sell")]
ROLES = ["marketing", "service"]
SUBJECTS = [SubjectId("sub_a"), SubjectId("sub_b")]
ENDS = ["withdrawn", "revoked", "superseded", "expired"]

some = {
    "fields": st.frozensets(st.sampled_from(FIELDS), min_size=1),
    "recipients": st.frozensets(st.sampled_from(RECIPIENTS), min_size=1),
    "processing": st.frozensets(st.sampled_from(PROCESSINGS), min_size=1),
    "jurisdictions": st.frozensets(st.sampled_from(PLACES), min_size=1),
}
hours = st.integers(-48, 48).map(lambda number: NOW + timedelta(hours=number))
a_grant = st.builds(
    Grant,
    ground=st.integers(0, 9).map(lambda number: GroundId(f"urn:{number}")),
    kind=st.sampled_from(["consent", "statutory"]),
    subject=st.sampled_from(SUBJECTS),
    purpose=st.sampled_from(PURPOSES),
    roles=st.none() | st.frozensets(st.sampled_from(ROLES), min_size=1),
    not_before=hours,
    not_after=st.none() | hours,
    ended=st.none() | st.sampled_from(ENDS),
    **some,
)
grants_of = st.lists(a_grant, max_size=6)
a_request = st.builds(
    ReadRequest,
    reader=st.just(Did("did:key:reader")),
    recipient=st.sampled_from(RECIPIENTS),
    subject=st.sampled_from(SUBJECTS),
    fields=st.just(frozenset(FIELDS)),
    purpose=st.sampled_from(PURPOSES),
    processing=st.sampled_from(PROCESSINGS),
    jurisdiction=st.sampled_from(PLACES),
    roles=st.frozensets(st.sampled_from(ROLES), min_size=1),
    at=st.just(NOW),
)


@given(a_request, grants_of)
def test_a_field_is_released_exactly_when_it_has_no_reason(request: ReadRequest, grants: list[Grant]) -> None:
    released = decide(request, grants).grounds
    for field in FIELDS:
        assert (reason(request, field, grants) is None) == (field in released)


@given(a_request, grants_of)
def test_each_released_field_has_a_living_ground_that_covers_all_of_the_request(
    request: ReadRequest, grants: list[Grant]
) -> None:
    for field, ground in decide(request, grants).grounds.items():
        assert any(
            grant.ground == ground
            and field in grant.fields
            and grant.ended is None
            and grant.not_before <= NOW
            and (grant.not_after is None or grant.not_after > NOW)
            and (grant.subject, grant.purpose) == (request.subject, request.purpose)
            and request.recipient in grant.recipients
            and request.jurisdiction in grant.jurisdictions
            and request.processing in grant.processing
            and (grant.roles is None or request.roles <= grant.roles)
            for grant in grants
        )


@given(a_request, grants_of, st.data())
def test_to_end_a_grant_never_releases_more(request: ReadRequest, grants: list[Grant], data: st.DataObject) -> None:
    before = set(decide(request, grants).grounds)
    ended = [
        replace(one, ended=data.draw(st.sampled_from(ENDS))) if data.draw(st.booleans()) else one for one in grants
    ]
    assert set(decide(request, ended).grounds) <= before


@given(a_request, grants_of, a_grant)
def test_another_grant_never_takes_away(request: ReadRequest, grants: list[Grant], more: Grant) -> None:
    assert set(decide(request, grants).grounds) <= set(decide(request, [*grants, more]).grounds)


@given(a_request, grants_of, st.frozensets(st.sampled_from(FIELDS)))
def test_what_else_is_asked_for_or_stored_never_changes_an_answer(
    request: ReadRequest, grants: list[Grant], asked: frozenset[Field]
) -> None:
    narrower = replace(request, fields=asked)
    assert set(decide(narrower, grants).grounds) == set(decide(request, grants).grounds) & asked
    for field in asked:
        assert reason(narrower, field, grants) == reason(request, field, grants)


@given(a_request, grants_of)
def test_the_order_of_the_grants_never_matters(request: ReadRequest, grants: list[Grant]) -> None:
    assert set(decide(request, grants).grounds) == set(decide(request, grants[::-1]).grounds)
    for field in FIELDS:
        assert reason(request, field, grants) == reason(request, field, grants[::-1])


@given(a_request, grants_of)
def test_other_peoples_grants_never_matter(request: ReadRequest, grants: list[Grant]) -> None:
    own = [grant for grant in grants if grant.subject == request.subject]
    assert decide(request, own).grounds.keys() == decide(request, grants).grounds.keys()
    for field in FIELDS:
        assert reason(request, field, own) == reason(request, field, grants)


@given(a_request, grants_of, st.integers(0, 60))
def test_before_the_next_change_nothing_changes(request: ReadRequest, grants: list[Grant], later: int) -> None:
    change = next_change(request, grants)
    at = NOW + timedelta(hours=later)
    if change is None or at < change:
        assert decide(replace(request, at=at), grants).grounds.keys() == decide(request, grants).grounds.keys()
    assert change is None or change > NOW


@given(a_request, grants_of)
def test_reasons_follow_their_order(request: ReadRequest, grants: list[Grant]) -> None:
    for field in FIELDS:
        why = reason(request, field, grants)
        naming = [one for one in grants if field in one.fields and one.subject == request.subject]
        if any(one.fits(request) and one.ended in ("withdrawn", "revoked", "superseded") for one in naming):
            assert why in (None, Reason.WITHDRAWN)
        elif any(one.fits(request) and one.over(NOW) for one in naming):
            assert why in (None, Reason.EXPIRED)
        elif not any(one.in_force(NOW) for one in naming):
            assert why is Reason.NO_GROUND
        else:
            assert why not in (Reason.WITHDRAWN, Reason.EXPIRED, Reason.NO_GROUND)


def living(**changes: object) -> Grant:
    grant = Grant(
        ground=GroundId("urn:1"),
        kind="consent",
        subject=SUBJECTS[0],
        fields=frozenset(FIELDS),
        purpose=PURPOSES[0],
        recipients=frozenset(RECIPIENTS[:1]),
        processing=frozenset({USE}),
        jurisdictions=frozenset(PLACES[:1]),
        roles=frozenset(ROLES[:1]),
        not_before=NOW,
        not_after=NOW + timedelta(days=1),
    )
    return replace(grant, **changes)  # type: ignore[arg-type]


def asked(**changes: object) -> ReadRequest:
    request = ReadRequest(
        reader=Did("did:key:reader"),
        recipient=RECIPIENTS[0],
        subject=SUBJECTS[0],
        fields=frozenset(FIELDS),
        purpose=PURPOSES[0],
        processing=USE,
        jurisdiction=PLACES[0],
        roles=frozenset(ROLES[:1]),
        at=NOW,
    )
    return replace(request, **changes)  # type: ignore[arg-type]


def test_the_grant_that_comes_closest_gives_the_reason() -> None:
    field = FIELDS[0]
    assert reason(asked(), field, [living()]) is None
    assert reason(asked(purpose=PURPOSES[1]), field, [living()]) is Reason.PURPOSE
    assert reason(asked(processing=PROCESSINGS[1]), field, [living()]) is Reason.PURPOSE
    assert reason(asked(recipient=RECIPIENTS[1]), field, [living()]) is Reason.RECIPIENT
    assert reason(asked(jurisdiction=PLACES[1]), field, [living()]) is Reason.JURISDICTION
    assert reason(asked(roles=frozenset(ROLES)), field, [living()]) is Reason.ROLE
    assert reason(asked(roles=frozenset()), field, [living()]) is Reason.ROLE
    assert reason(asked(at=NOW + timedelta(days=1)), field, [living()]) is Reason.EXPIRED
    assert reason(asked(at=NOW - timedelta(seconds=1)), field, [living()]) is Reason.NO_GROUND
    assert reason(asked(), field, [living(ended="superseded")]) is Reason.WITHDRAWN
    assert reason(asked(), field, [living(ended="expired")]) is Reason.EXPIRED
    assert reason(asked(), field, []) is Reason.NO_GROUND
    wrong_place = living(jurisdictions=frozenset(PLACES[1:]))
    wrong_purpose = living(purpose=PURPOSES[1])
    assert reason(asked(), field, [wrong_purpose, wrong_place]) is Reason.JURISDICTION
    assert reason(asked(), field, [wrong_place, living(ended="withdrawn")]) is Reason.WITHDRAWN


def test_the_last_instant_of_a_grant_is_the_one_before_its_end() -> None:
    end = NOW + timedelta(days=1)
    assert decide(asked(at=end - timedelta(microseconds=1)), [living()]).grounds
    assert not decide(asked(at=end), [living()]).grounds
    assert next_change(asked(), [living()]) == end
    assert next_change(asked(at=end), [living()]) is None
