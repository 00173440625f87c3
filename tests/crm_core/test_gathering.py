"""A query over everybody lets withdrawers in between its parts, and forgets whom they took out."""

from datetime import timedelta

import pytest

from crm_core.reading import gathering
from crm_core.reading.gathering import Gathered
from issuer import credentials
from protocol.times import iso_ms
from verifier import allowance

CITY, NAME = "address.city", "contact.given_name"


def narrow(stage, subject, consent):
    """Withdraw as the registry does: journal, standing, allowance; then drain."""
    with stage.platform.database.write("owner") as session:
        row = session.get(credentials.Credential, consent)
        credentials.end(session, row, "withdrawn", by="urn:test", at=stage.clock.now())
        credentials.raise_versions(session, [subject])
        entry = {
            "kind": "narrowing", "subject": subject, "version": credentials.version(session, subject),
            "ended": [consent], "evidence": {}, "at": iso_ms(stage.clock.now()),
        }  # fmt: skip
        stage.platform.journal.append(entry)
        allowance.compile(session, stage.platform, stage.catalogue, subject)
    stage.gate.turnstile.drain(timeout=5.0)


@pytest.fixture
def between(stage, monkeypatch):
    """Five customers in parts of two; whoever is given is called once, when the first part has been seen."""
    monkeypatch.setattr(gathering, "CHUNK", 2)
    subjects = sorted(stage.customer(address__city=f"city {number}") for number in range(5))
    consents = {subject: stage.grant(subject, CITY) for subject in subjects}

    def then(act):
        more, calls = Gathered.more, []

        def parts(self, read, query):
            more(self, read, query)
            calls.append(1)

        begun = Gathered.enough.fget

        def enough(self):
            if len(calls) == 1:
                calls.append(2)
                act(subjects, consents)
            return begun(self)

        monkeypatch.setattr(Gathered, "more", parts)
        monkeypatch.setattr(Gathered, "enough", property(enough))
        return subjects

    return then


def withdrawing(stage):
    return lambda subjects, consents: narrow(stage, subjects[0], consents[subjects[0]])


def shown(page):
    return [item.subject for item in page.items]


@pytest.mark.parametrize("query", [{"sort": CITY}, {"filter_": f"{CITY}:present"}, {"filter_": f"{CITY}:prefix:city"}])
def test_who_withdraws_between_two_parts_does_not_meet_the_query_any_more(stage, between, query):
    subjects = between(withdrawing(stage))
    page = stage.page(**query)
    first = [item for item in page.items if item.subject == subjects[0]]
    assert all(not item.fields.get(CITY) for item in first)
    if "sort" in query:
        assert shown(page)[-1] == subjects[0], "with nothing to sort by they come last"
    else:
        assert set(shown(page)) == set(subjects[1:])


def test_who_had_a_value_and_withdraws_meets_a_query_for_those_without(stage, between):
    subjects = between(withdrawing(stage))
    assert shown(stage.page(filter_=f"{CITY}:absent")) == [subjects[0]]


def test_control_without_the_second_look_they_still_meet_it(stage, between, monkeypatch):
    subjects = between(withdrawing(stage))
    monkeypatch.setattr(Gathered, "now", lambda self, read, query: self.placed.values())
    assert subjects[0] in shown(stage.page(filter_=f"{CITY}:present"))


def test_whose_consent_runs_out_between_two_parts_is_looked_at_again(stage, between):
    def later(_subjects, _consents):
        stage.clock.advance(timedelta(seconds=33))

    subjects = between(later)
    stage.clock.advance(timedelta(days=30) - timedelta(seconds=35))
    # they consented a second after each other, the last one 30 days and 2 seconds before the second part
    assert shown(stage.page(filter_=f"{CITY}:present")) == subjects[3:]


def test_when_the_gathering_never_holds_it_is_done_in_the_passage_of_the_answer(stage, between, monkeypatch):
    subjects = between(lambda _subjects, _consents: None)

    def changed(self, read, query):
        raise gathering.ChangedError

    monkeypatch.setattr(Gathered, "now", changed)
    assert set(shown(stage.page(filter_=f"{CITY}:present"))) == set(subjects)
