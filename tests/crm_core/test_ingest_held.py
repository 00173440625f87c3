"""Uploads that wait for a ground: sealed, seen by name, taken in or destroyed with their key."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from crm_core.gateway import held, held_worker
from crm_core.gateway.held import HeldUpload
from fieldgrant.demo import residue
from issuer import asks
from protocol import canonical
from runtime.keyring import KeyGone
from tests.crm_core.gateway import BODY, CARE, MILEAGE, SUPPORT, TITLE, Gateway
from tests.issuer import rights_world

MARKERS = ("qz.held.marker@example.com", "Zyxwv-Held-Marker")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    place = Gateway(tmp_path)
    yield place
    place.platform.close()


def keys(gateway: Gateway) -> list[str]:
    return [name for name in gateway.platform.keyring.archive.names() if name.startswith(held.PREFIX)]


def boxes(gateway: Gateway) -> list[tuple[str, bytes]]:
    """What a thief takes away of the table: (period, box)."""
    with gateway.platform.database.read() as session:
        return [(row.period, row.box) for row in session.exec(select(HeldUpload))]


def opens(gateway: Gateway, stolen: list[tuple[str, bytes]]) -> int:
    """How many stolen boxes today's keys open."""
    from nacl.exceptions import CryptoError
    from nacl.public import SealedBox

    count = 0
    for period, box in stolen:
        try:
            SealedBox(gateway.platform.keyring.archive.private(period)).decrypt(box)
            count += 1
        except (KeyGone, CryptoError):
            continue
    return count


def test_what_has_no_ground_is_held_by_a_touchpoint_that_may_and_taken_in_when_one_comes(gateway: Gateway) -> None:
    form, wallet = gateway.registered(ungrounded="hold"), gateway.enrolled()
    answer = form.send(gateway.upload(subject=wallet.subject, values={TITLE: "Wei"}))
    assert answer.status_code == 202
    assert answer.json()["results"][0]["held"] == [TITLE]
    assert gateway.stored(wallet.subject) == {}
    stolen = boxes(gateway)
    assert (gateway.work(), opens(gateway, stolen)) == (0, 1)
    given = wallet.give(gateway.ask(wallet))
    assert gateway.work() == 1
    assert gateway.stored(wallet.subject) == {TITLE: "Wei"}
    assert (gateway.count("held_upload"), keys(gateway), opens(gateway, stolen)) == (0, [], 0)
    [event] = [one for one in gateway.events("value.collected") if one.header.get("touchpoint")]
    assert event.header["grounds"] == {given["id"]: [TITLE]}
    [ended] = gateway.events("held.ended")
    assert ended.records[0][1]["how"] == "taken"


def test_customer_and_officer_see_what_is_held_by_name_alone(gateway: Gateway) -> None:
    form, wallet, other = gateway.registered(ungrounded="hold"), gateway.enrolled(), gateway.enrolled()
    form.one(subject=wallet.subject, values={TITLE: MARKERS[1]})
    form.one(subject=other.subject)
    seen = gateway.staffed("GET", "/crm/held", "dpo")
    assert {one["subject"] for one in seen.json()["items"]} == {wallet.subject, other.subject}
    assert MARKERS[1] not in seen.text
    assert gateway.staffed("GET", "/crm/held", "admin").status_code == 403
    wallet.world.http = gateway.crm
    [mine] = wallet.call("GET", "/crm/wallet/held").json()["items"]
    assert (mine["subject"], mine["fields"]) == (wallet.subject, [TITLE])
    assert mine["destroy_by"].startswith("2026-11-29T08:00:00.")
    event = gateway.events("value.held")[0]
    assert event.records[0][0] == wallet.subject


def test_a_no_destroys_what_is_held_and_what_lies_beside_it_stays(gateway: Gateway) -> None:
    form = gateway.registered(ungrounded="hold")
    wallet, given = gateway.consenting(fields=(TITLE, BODY), processing=["dpv:Use"])
    other = gateway.enrolled()
    for subject in (wallet.subject, other.subject):
        assert form.one(subject=subject)["status"] == 202
    stolen = boxes(gateway)
    gateway.withdraw(wallet, given)
    assert gateway.work() == 1
    assert [row["how"] for one in gateway.events("held.ended") for _, row in one.records] == ["withdrawn"]
    assert opens(gateway, stolen) == 0  # the neighbour's was sealed anew under another key
    assert (opens(gateway, boxes(gateway)), len(keys(gateway))) == (1, 1)
    assert form.one(subject=wallet.subject)["refused"] == {TITLE: "withdrawn"}  # nor is it held again


def test_a_refused_ask_destroys_what_waits_for_its_purpose(gateway: Gateway) -> None:
    form, wallet = gateway.registered(ungrounded="hold"), gateway.enrolled()
    assert form.one(subject=wallet.subject)["status"] == 202
    gateway.registry.refuse(canonical.jcs(wallet.refusal(gateway.ask(wallet, CARE, (MILEAGE,)))), wallet.signer.did)
    assert gateway.work() == 0
    gateway.registry.refuse(canonical.jcs(wallet.refusal(gateway.ask(wallet))), wallet.signer.did)
    assert gateway.work() == 1
    assert gateway.events("held.ended")[0].records[0][1]["how"] == "refused"


def test_after_a_withdrawal_what_was_taken_in_before_opens_from_no_older_copy(gateway: Gateway) -> None:
    form, wallet = gateway.registered(ungrounded="hold"), gateway.enrolled()
    form.one(subject=wallet.subject)
    stolen = boxes(gateway)
    given = wallet.give(gateway.ask(wallet))
    gateway.work()
    gateway.withdraw(wallet, given)
    assert opens(gateway, stolen) == 0


def test_seven_days_or_the_end_of_the_touchpoint_end_it(gateway: Gateway) -> None:
    form, brief, wallet = (
        gateway.registered(ungrounded="hold"),
        gateway.registered(ungrounded="hold"),
        gateway.enrolled(),
    )
    form.one(subject=wallet.subject)
    brief.one(subject=wallet.subject)
    stolen = boxes(gateway)
    gateway.staffed("POST", f"/crm/touchpoints/{brief.id}/end", "dpo")
    assert gateway.work() == 1
    gateway.clock.advance(held.KEPT - timedelta(seconds=1))
    assert gateway.work() == 0
    gateway.clock.advance(timedelta(seconds=1))
    assert gateway.work() == 1
    assert [one.records[0][1]["how"] for one in gateway.events("held.ended")] == ["touchpoint_ended", "expired"]
    assert (opens(gateway, stolen), keys(gateway), gateway.stored(wallet.subject)) == (0, [], {})


def test_a_touchpoint_that_may_not_hold_and_a_stranger_leave_nothing(gateway: Gateway) -> None:
    strict, form, wallet = gateway.registered(), gateway.registered(ungrounded="hold"), gateway.enrolled()
    assert strict.one(subject=wallet.subject)["status"] == 403
    assert form.one(subject=None)["status"] == 403
    assert form.one(subject="sub_" + "c" * 26)["status"] == 404
    assert form.one(subject=wallet.subject, purpose=CARE)["status"] == 422
    assert form.one(subject=wallet.subject, values={TITLE: "Wei", BODY: "no"})["status"] == 422
    assert gateway.count("held_upload") == 0


def test_a_moved_or_changed_box_is_thrown_away(gateway: Gateway) -> None:
    form, wallet, other = gateway.registered(ungrounded="hold"), gateway.enrolled(), gateway.enrolled()
    form.one(subject=wallet.subject)
    with gateway.platform.database.write("owner") as session:
        row = session.exec(select(HeldUpload)).one()
        row.subject = other.subject
        session.add(row)
    other.give(gateway.ask(other))
    assert gateway.work() == 1
    assert gateway.stored(other.subject) == {}
    assert gateway.events("held.ended")[0].records[0][1]["how"] == "unreadable"


def test_no_customer_s_hold_grows_without_end(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "PER_CUSTOMER", 2)
    monkeypatch.setattr(held, "PER_PERIOD", 1)
    form, wallet = gateway.registered(ungrounded="hold"), gateway.enrolled()
    assert [form.one(subject=wallet.subject)["status"] for _ in range(3)] == [202, 202, 429]
    assert len(keys(gateway)) == 2  # no key covers more than it may


@pytest.mark.parametrize("die", ["end", "renew", "sweep"])
def test_a_round_that_dies_anywhere_loses_nothing_and_doubles_nothing(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, die: str
) -> None:
    form, wallet, other = gateway.registered(ungrounded="hold"), gateway.enrolled(), gateway.enrolled()
    for one in (wallet, other):
        form.one(subject=one.subject)
    stolen = boxes(gateway)
    wallet.give(gateway.ask(wallet))

    def dead(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(held, die, dead)
        with pytest.raises(RuntimeError):
            gateway.work()
    gateway.work()
    assert gateway.stored(wallet.subject) == {TITLE: "Wei"}
    assert len([one for one in gateway.events("value.collected") if one.header.get("touchpoint")]) == 1
    assert (opens(gateway, stolen), opens(gateway, boxes(gateway)), len(keys(gateway))) == (0, 1, 1)


def test_no_held_or_refused_value_lies_in_clear_anywhere(gateway: Gateway) -> None:
    form, strict, wallet = gateway.registered(ungrounded="hold"), gateway.registered(), gateway.enrolled()
    values = {BODY: MARKERS[0], TITLE: MARKERS[1]}
    for sender in (form, strict):
        sender.one(subject=wallet.subject, values=values)
        sender.one(subject=wallet.subject, values={BODY: f"broken {MARKERS[0]}", MARKERS[1]: MARKERS[0]})
        sender.one(subject=None, purpose=MARKERS[1], values=values)
    assert found(gateway) == []
    wallet.give(gateway.ask(wallet, SUPPORT, (TITLE, BODY)))
    assert gateway.work() == 1
    assert gateway.stored(wallet.subject)[BODY] == MARKERS[0]
    gateway.platform.database.dispose()
    assert found(gateway) == []
    (gateway.settings.data_dir / "planted.bin").write_bytes(b"\x00" + MARKERS[0].encode() + b"\x00")
    assert found(gateway) == ["planted.bin"]  # the control: the search sees


def found(gateway: Gateway) -> list[str]:
    """Files that hold a marker in some form."""
    return sorted({hit.path.name for hit in residue.search(gateway.settings.home, MARKERS)})


def test_asks_offer_collecting_where_the_catalogue_foresees_it(gateway: Gateway) -> None:
    assert gateway.ask(gateway.enrolled()).processes[0].processing == {"dpv:Use", "dpv:Collect"}
    wish = asks.Wish(purpose="marketing", fields=frozenset({BODY}), processing=frozenset({"dpv:Transfer"}))
    with pytest.raises(asks.Problem) as caught:
        asks.process_of(wish, gateway.platform, gateway.catalogue)
    assert caught.value.code == "processing_not_allowed"


def test_what_cannot_be_taken_in_does_not_hold_up_the_others(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    from crm_core.gateway import lot

    form = gateway.registered({SUPPORT: ("ticket.subject", TITLE)}, ungrounded="hold")
    full, wallet = gateway.enrolled(), gateway.enrolled()
    form.one(subject=full.subject, values={"ticket.subject": "Help"})
    form.one(subject=wallet.subject)
    monkeypatch.setattr(lot, "MAX_ITEMS", 0)
    for one in (full, wallet):
        one.give(gateway.ask(one, SUPPORT, ("ticket.subject", TITLE)))
    assert gateway.work() == 2
    assert {one.records[0][1]["how"] for one in gateway.events("held.ended")} == {"unreadable", "taken"}


def test_of_whoever_asked_to_be_erased_nothing_waits_for_a_ground_that_may_come(gateway: Gateway) -> None:
    form, wallet = gateway.registered(ungrounded="hold"), gateway.enrolled()
    assert form.one(subject=wallet.subject)["status"] == 202
    stolen = boxes(gateway)
    rights_world.ask(wallet, "erasure")
    assert gateway.work() == 1  # what waited goes
    assert (gateway.events("held.ended")[0].records[0][1]["how"], opens(gateway, stolen)) == ("withdrawn", 0)
    assert form.one(subject=wallet.subject)["status"] == 403  # and nothing more of it waits
    assert gateway.count("held_upload") == 0


def test_whoever_waits_for_what_is_still_to_begin_keeps_nobody_s_end_waiting(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_worker, "_BATCH", 1)
    form, early = gateway.registered(ungrounded="hold"), gateway.enrolled()
    wallet, given = gateway.consenting(fields=(TITLE, BODY), processing=["dpv:Use"])
    assert form.one(subject=early.subject)["status"] == 202
    gateway.clock.advance(timedelta(seconds=1))
    assert form.one(subject=wallet.subject)["status"] == 202
    later = gateway.now + timedelta(seconds=20)  # as far ahead as a wallet's clock may be
    early.give(gateway.ask(early), valid_from=later)
    gateway.withdraw(wallet, given)
    assert sum(gateway.work() for _ in range(40)) == 1  # drawn by lot: all forty miss it once in 10**12
    assert gateway.events("held.ended")[0].records[0][0] == wallet.subject
    assert gateway.count("held_upload") == 1
