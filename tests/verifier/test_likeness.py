"""What the same evidence proves is found out once; whoever has anything of their own is examined alone."""

from issuer import credentials
from protocol.consent import SubjectId
from tests.verifier.stage import EMAIL, FAMILY, GIVEN, Customer, Stage
from verifier import allowance


def _opened(stage: Stage, count: int) -> list[SubjectId]:
    subjects = [SubjectId(f"sub_{number:026}") for number in range(count)]
    with stage.platform.database.write("owner") as session:
        credentials.open_standings(session, subjects)
    return subjects


def test_together_they_get_what_each_would_get_alone(stage: Stage, customer: Customer) -> None:
    stage.ground("administration", GIVEN, FAMILY)
    stage.ground("invitation", EMAIL, roles=frozenset({"mailer"}), until_enrolled=True)
    stage.give(customer)
    subjects = [*_opened(stage, 5), customer.subject]
    with stage.platform.database.write("owner") as session:
        for subject in subjects:
            allowance.compile(session, stage.platform, stage.catalogue, subject)
    alone = {subject: stage.allowances(subject) for subject in subjects}
    with stage.platform.database.write("owner") as session:
        assert allowance.compile_many(session, stage.platform, stage.catalogue, subjects) == 6
    assert {subject: stage.allowances(subject) for subject in subjects} == alone
    assert stage.released(subjects[4], "administration", "sales") == {GIVEN, FAMILY}


def test_a_ground_for_one_customer_is_nobody_elses_even_if_the_database_says_so(stage: Stage) -> None:
    theirs, ours, third = _opened(stage, 3)
    ground = stage.ground("administration", GIVEN, subjects=frozenset({theirs}))
    stage.sql("INSERT INTO ground_subject VALUES (?, ?)", ground, ours)  # an attacker wants to be alike
    with stage.platform.database.write("owner") as session:
        allowance.compile_many(session, stage.platform, stage.catalogue, [theirs, ours, third])
    assert stage.released(theirs, "administration", "sales") == {GIVEN}
    assert stage.released(ours, "administration", "sales") == set()
    assert stage.released(third, "administration", "sales") == set()


def test_evidence_that_proves_nothing_is_shared_with_nobody(stage: Stage) -> None:
    subjects = _opened(stage, 3)
    ground = stage.ground("administration", GIVEN)
    bent = "CAST(replace(CAST(body AS TEXT), 'Contract', 'Contrast') AS BLOB)"
    stage.sql(f"UPDATE credential SET body = {bent} WHERE id = ?", ground)  # noqa: S608 - the attacker's own words
    with stage.platform.database.write("owner") as session:
        allowance.compile_many(session, stage.platform, stage.catalogue, subjects)
    assert all(stage.released(subject, "administration", "sales") == set() for subject in subjects)
