"""Status lists: random indexes that are never given twice, and a signed list that follows the bits."""

import secrets

import pytest

from issuer import statuslists
from issuer.statuslists import StatusList
from protocol import status
from tests.issuer.world import World


def test_an_index_is_never_given_twice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([7, 7, 7, 8])
    monkeypatch.setattr(secrets, "randbelow", lambda _limit: next(drawn))
    with world.platform.database.write("owner") as session:
        found = [statuslists.reserve(session, world.platform)[1].index for _ in range(2)]
    assert found == [7, 8]


def test_a_half_full_list_is_followed_by_another(world: World) -> None:
    with world.platform.database.write("owner") as session:
        assert statuslists.reserve(session, world.platform)[0] == 1
        listed = session.get_one(StatusList, 1)
        listed.reserved = status.SIZE // 2
        session.add(listed)
        session.flush()
        n, reference = statuslists.reserve(session, world.platform)
    assert n == 2
    assert reference.list_url.endswith("/issuer/status/2")


def test_the_signed_list_is_kept_until_a_bit_changes(world: World) -> None:
    with world.platform.database.write("owner") as session:
        n, reference = statuslists.reserve(session, world.platform)
    lists = statuslists.SignedLists(world.platform)
    first = lists.get(n)
    assert lists.get(n) is first
    with world.platform.database.write("owner") as session:
        statuslists.end(session, n, reference.index, at=world.now)
        statuslists.end(session, n, reference.index, at=world.now)
        statuslists.end(session, None, None, at=world.now)
        assert session.get_one(StatusList, n).version == 1
    assert lists.get(n) is not first


def test_an_unknown_list_is_told(world: World) -> None:
    answer = world.http.get("/issuer/status/99")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_status_list")
