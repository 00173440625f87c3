"""A bundle for one purpose or some time: the other reads are commitments, everything that judges reads is shown."""

import json
from datetime import timedelta

import pytest

from audit import bundle, container, statement, verify
from audit.report import Outcome
from audit.scope import Scope
from protocol.errors import EvidenceError
from tests.audit.world import EMAIL, MARKETING, START, SUBJECT, World, resealed

SERVICE = "https://w3id.org/dpv#CustomerCare"


@pytest.fixture
def told(world: World) -> World:
    """Reads for marketing before and after a withdrawal, and refused ones for service."""
    given = world.journey()
    world.emit("refusal", {"released": [], "withheld": {EMAIL: "no_ground"}}, header=world.header(purpose=SERVICE))
    world.release({EMAIL: [given.id]})
    world.emit("refusal", {"released": [], "withheld": {EMAIL: "no_ground"}}, header=world.header(purpose=SERVICE))
    return world


def made(world: World, scope: Scope) -> bytes:
    return bundle.export(
        world.log, world.credentials, subject=SUBJECT, field=None, by="did:key:z", role="auditor", scope=scope
    )


def records(data: bytes) -> list[dict[str, object]]:
    files = container.unpack(data)
    return [json.loads(files[name])["record"] for name in sorted(files) if name.startswith("events/")]


def test_only_the_reads_for_a_purpose_are_shown_and_the_bundle_is_valid(told: World) -> None:
    data = made(told, Scope(purpose=SERVICE))
    kinds = [str(one["type"]) for one in records(data)]
    assert (kinds.count("refusal"), kinds.count("release")) == (2, 0)
    assert {"consent.given", "consent.withdrawn", "consent.shut", "value.shredded", "bundle.exported"} <= set(kinds)
    report = verify.verify(data, told.log.vkey)
    assert report.status == 0
    (chain,) = [one for one in report.checks if one.name == "chain"]
    assert SERVICE in chain.detail
    assert records(data)[-1]["data"] == {"scope": {"purpose": SERVICE}}


def test_only_the_reads_of_some_time_are_shown(told: World) -> None:
    everything = [one for one in records(made(told, Scope())) if one["type"] in ("release", "refusal")]
    since, until = START + timedelta(seconds=8), told.clock.now() - timedelta(seconds=2)
    data = made(told, Scope(since=since, until=until))
    shown = [one for one in records(data) if one["type"] in ("release", "refusal")]
    wanted = [one for one in everything if since.isoformat()[:19] <= str(one["time"])[:19] < until.isoformat()[:19]]
    assert 0 < len(shown) < len(everything)
    assert [one["id"] for one in shown] == [one["id"] for one in wanted]
    assert verify.verify(data, told.log.vkey).status == 0


def test_a_field_and_a_purpose_narrow_together(told: World) -> None:
    data = made(told, Scope(field=EMAIL, purpose=MARKETING))
    kinds = [str(one["type"]) for one in records(data)]
    assert (kinds.count("release"), kinds.count("refusal")) == (3, 0)
    assert verify.verify(data, told.log.vkey).status == 0


def test_a_read_outside_of_the_scope_that_is_named_makes_it_invalid(told: World) -> None:
    files = container.unpack(made(told, Scope()))
    whole = statement.verify(files["statement.dsse.json"], files["manifest.json"], told.log.vkey)
    told.exported = made(told, Scope(purpose=SERVICE))
    assert verify.verify(resealed(told, files), told.log.vkey).status == 0  # the control
    narrowed = statement.Claim(
        subject=whole.subject, scope=Scope(purpose=SERVICE), exported=whole.exported, origin=whole.origin,
        size=whole.size, root=whole.root, length=whole.length, head=whole.head,
    )  # fmt: skip
    files["statement.dsse.json"] = statement.sign(narrowed, files["manifest.json"], told.log.vkey, told.log.signer)
    report = verify.verify(container.pack(files), told.log.vkey)
    assert [(one.name, one.code) for one in report.checks if one.outcome is Outcome.FAILED] == [("chain", "bad_chain")]


def test_a_whole_bundle_without_its_reads_is_still_incomplete(told: World) -> None:
    """Who leaves reads out has to say so where the log's key signs it."""
    files = container.unpack(made(told, Scope()))
    reads = [name for name in files if name.startswith("events/") and b'"type":"refusal"' in files[name]]
    report = verify.verify(resealed(told, {name: files[name] for name in files if name not in reads}), told.log.vkey)
    assert report.status == 2


@pytest.mark.parametrize("bad", [{"who": "x"}, {"purpose": 1}, {"purpose": ""}, {"from": "yesterday"}])
def test_what_is_no_scope_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises((ValueError, EvidenceError)):
        Scope.read(None, bad)


def test_a_time_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(EvidenceError) as refused:
        Scope(since=START, until=START).check()
    assert refused.value.code == "bad_scope"
