"""SQLite keeps anything in any column: what somebody plants there is named, and holds up nobody else."""

import pytest

from tests.verifier.stage import ASKED, EMAIL, Customer, Stage
from verifier import allowance, reconcile

pytestmark = pytest.mark.sqlite("a column of PostgreSQL takes values of its own type alone")


def told(stage: Stage, customer: Customer) -> set[tuple[str, str]]:
    return {
        (str(data["credential"]), str(data["code"]))
        for one in stage.events("attempt.refused")
        for subject, data in one.records
        if subject == customer.subject
    }


@pytest.mark.parametrize("planted", ["'not a credential'", "7", "CAST(body AS TEXT)", "1.5", "''"])
def test_a_statement_that_is_no_bytes_proves_nothing_and_stops_nobody_s_compiling(
    stage: Stage, customer: Customer, planted: str
) -> None:
    other = stage.enrol()
    given, _ = stage.give(customer), stage.give(other)
    stage.sql(f"UPDATE credential SET body = {planted} WHERE id = ?", given.id)  # noqa: S608 - ours
    assert allowance.compile_all(stage.platform, stage.catalogue) == 2
    assert told(stage, customer) == {(given.id, "bad_json")}
    assert stage.released(customer.subject) == set()
    assert stage.released(other.subject) == set(ASKED)


def test_an_id_that_is_no_text_is_named_all_the_same(stage: Stage, customer: Customer) -> None:
    given = stage.give(customer)
    stage.sql(
        "INSERT INTO credential SELECT x'ff', kind, subject, did, x'00', 'zQm', at, NULL, NULL, NULL, NULL, NULL, "
        "NULL, NULL, NULL FROM credential WHERE id = ?",
        given.id,
    )
    assert allowance.compile_all(stage.platform, stage.catalogue) == 1
    assert {id_ for id_, _ in told(stage, customer)} == {repr(b"\xff")}
    assert EMAIL in stage.released(customer.subject)


@pytest.mark.parametrize("planted", ["'many'", "1.5", "x'01'"])
def test_a_standing_that_is_no_number_is_quarantined_and_stops_nobody(
    stage: Stage, customer: Customer, planted: str
) -> None:
    other = stage.enrol()
    stage.give(customer), stage.give(other)
    stage.sql(f"UPDATE standing SET version = {planted} WHERE subject = ?", customer.subject)  # noqa: S608 - ours
    assert allowance.compile_all(stage.platform, stage.catalogue) == 1
    assert stage.released(customer.subject) == set()
    assert [one.records[0][0] for one in stage.events("subject.quarantined")] == [customer.subject]
    assert stage.released(other.subject) == set(ASKED)
    with pytest.raises(reconcile.Disagreement):
        reconcile.startup_check(stage.platform)
    reconcile.reconcile(stage.platform, stage.catalogue)
    assert stage.released(customer.subject) == set(ASKED)
