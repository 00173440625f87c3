"""The owner's rights at the terminal, against an organisation that is really served."""

import json
import stat
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import Result
from typer.testing import CliRunner

from protocol import canonical, sealed
from protocol.errors import EvidenceError
from tests.attacks.holder import Held
from tests.attacks.pieces import CITY, EMAIL
from tests.attacks.place import Place, served
from wallet import cli, options, requests
from wallet.errors import WalletError
from wallet.requests import Copy
from wallet.wallet import Wallet

Terminal = Callable[..., Result]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with served(tmp_path_factory.mktemp("place")) as made:
        yield made


@pytest.fixture
def held(place: Place) -> Held:
    return place.enrolled()


@pytest.fixture
def terminal(place: Place, held: Held, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    path = held.app._store._path
    held.app.close()
    opened = Wallet.open

    def at_the_place(file: Path, passphrase: str, **_: Any) -> Wallet:
        return opened(file, passphrase, clock=lambda: place.now)

    monkeypatch.setattr(options.Wallet, "open", at_the_place)
    monkeypatch.setenv("FIELDGRANT_WALLET_PASSPHRASE", "a long passphrase")

    def run(*words: str, typed: str | None = None) -> Result:
        place.clock.advance(timedelta(seconds=1))
        return CliRunner().invoke(cli.app, [*words, "--wallet", str(path)], input=typed, env={"COLUMNS": "200"})

    return run


def test_a_copy_is_written_for_the_owner_alone(terminal: Terminal, held: Held, tmp_path: Path) -> None:
    done = terminal("request", "access", "--out", str(tmp_path / "copy"))
    assert done.exit_code == 0, done.output
    (file,) = (tmp_path / "copy").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    told = orjson.loads(file.read_bytes())
    assert {one["field"]: one["value"] for one in told["fields"]}[EMAIL] == held.customer.email
    listed = json.loads(terminal("requests", "--json").stdout)["requests"]
    assert [(one["kind"], one["state"]) for one in listed] == [("access", "answered")]
    shown = terminal("open", listed[0]["id"][9:17])
    assert held.customer.email in shown.stdout
    again = terminal("open", listed[0]["id"][9:17], "--out", str(tmp_path / "copy"))
    assert again.exit_code == 1
    assert "file_exists" in again.stderr


def test_data_to_take_along_come_as_json_and_vcard(terminal: Terminal, held: Held, tmp_path: Path) -> None:
    assert terminal("request", "portability", "--out", str(tmp_path)).exit_code == 0
    card = next(tmp_path.glob("portability-*.vcf")).read_bytes()
    assert held.customer.email.encode() in card
    assert orjson.loads(next(tmp_path.glob("portability-*.json")).read_bytes())["data"]["values"]


def test_a_correction_is_typed_and_travels_sealed(terminal: Terminal, place: Place, held: Held) -> None:
    done = terminal("request", "correct", CITY, "--json", typed="Suzhou\n")
    assert done.exit_code == 0, done.output
    id_ = json.loads(done.stdout[done.stdout.index("{") :])["id"]
    assert place.post("service", f"/crm/rights/requests/{id_}/correction").status_code == 200
    assert "Suzhou" in terminal("request", "access").stdout
    wrong = terminal("request", "correct", "contact.iris", "--set", "contact.iris=blue")
    assert (wrong.exit_code, "unknown_field" in wrong.stderr) == (1, True)


def test_an_erasure_is_asked_back_and_what_stays_is_said_in_both_languages(
    terminal: Terminal, place: Place, held: Held
) -> None:
    kept = terminal("request", "erase", typed="n\n")
    assert "Nothing was changed" in kept.stdout
    place.ground("law", "service", (CITY,), subjects=[held.subject], basis="dpv:LegalObligation", citation="§ 147 AO")
    done = terminal("request", "erase", "--yes")
    assert done.exit_code == 0, done.output
    (id_,) = [one["id"] for one in json.loads(terminal("requests", "--json").stdout)["requests"]]
    assert place.post("dpo", f"/issuer/requests/{id_}/answer").status_code == 200
    assert "erasure" in terminal("requests").stdout
    listed = terminal("requests", "--lang", "zh-CN")
    assert "删除" in listed.stdout
    assert "已答复" in listed.stdout


def test_an_objection_names_a_purpose_as_the_wallet_shows_it(terminal: Terminal, place: Place, held: Held) -> None:
    ground = place.ground("care", "service", (CITY,), subjects=[held.subject], basis="dpv:PublicInterest")
    done = terminal("request", "object", "CustomerCare", "--ground", ground[9:17])
    assert done.exit_code == 0, done.output
    assert place.shown(held.subject, "service", "service")["withheld"][CITY] == "restricted"
    unknown = terminal("request", "object", "CustomerCare", "--ground", "nothing")
    assert "unknown_ground" in unknown.stderr
    assert terminal("request", "restrict").exit_code == 0
    assert (
        "no_answer_here"
        in terminal("open", json.loads(terminal("requests", "--json").stdout)["requests"][0]["id"]).stderr
    )
    assert "unknown_request" in terminal("open", "ffffffff").stderr


def test_an_answer_by_post_opens_with_the_passphrase_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sealed, "_OPS", 1)
    monkeypatch.setattr(sealed, "_MEM", 8192)
    document = {"kind": "access", "request": "urn:uuid:3f0d8a52", "fields": [{"field": EMAIL, "value": "a@b.cn"}]}
    file = tmp_path / "answer.fieldgrant"
    file.write_bytes(sealed.seal_file("abcde-fghij", orjson.dumps(document)))
    monkeypatch.setenv("FIELDGRANT_WALLET_ANSWER_PASSPHRASE", "ABCDE FGHIJ")
    done = CliRunner().invoke(cli.app, ["open-answer", str(file)])
    assert "a@b.cn" in done.stdout
    monkeypatch.setenv("FIELDGRANT_WALLET_ANSWER_PASSPHRASE", "wrong")
    assert "wrong_passphrase" in CliRunner().invoke(cli.app, ["open-answer", str(file)]).stderr
    assert "no_answer_file" in CliRunner().invoke(cli.app, ["open-answer", str(tmp_path / "none")]).stderr
    for bad in (b"{}", b"nothing", canonical.jcs({"kind": "x", "v": 1, "kdf": {}, "box": ""})):
        file.write_bytes(bad)
        with pytest.raises(EvidenceError, match="damaged"):
            requests.open_file(file, "abcde")
    heavy = canonical.jcs(
        {"v": 1, "kind": sealed.FILE_KIND, "box": "AAAA",
         "kdf": {"opslimit": 10**6, "memlimit": 2**40, "salt": "A" * 22 + "=="}}
    )  # fmt: skip
    file.write_bytes(heavy)
    with pytest.raises(EvidenceError, match="damaged"):
        requests.open_file(file, "abcde")


def test_a_name_from_an_answer_leads_out_of_no_directory(tmp_path: Path) -> None:
    copy = Copy({"kind": "../../x", "request": "urn:uuid:../../etc", "vcard": "BEGIN:VCARD"}, None)
    written = requests.save(copy, tmp_path)
    assert {one.parent for one in written} == {tmp_path}
    with pytest.raises(WalletError, match="exists"):
        requests.save(copy, tmp_path)


def test_a_read_of_the_history_is_explained_to_its_owner(terminal: Terminal, place: Place, held: Held) -> None:
    place.ground("care", "service", (CITY,), subjects=[held.subject], basis="dpv:PublicInterest")
    place.shown(held.subject, "service", "service")
    found = json.loads(terminal("history", "--json").stdout)["items"]
    read = next(one for one in found if one["kind"] == "release" and one["role"] == "service")
    assert read["event"][9:17] in terminal("history").stdout
    done = terminal("request", "explain", read["event"][9:17], "--json")
    assert done.exit_code == 0, done.output
    asked = json.loads(done.stdout)
    assert (asked["kind"], asked["event"]) == ("explanation", read["event"])
    said = {"explanation": "You called about your car."}
    assert place.post("dpo", f"/issuer/requests/{asked['id']}/answer", said).status_code == 200
    assert "You called about your car." in terminal("requests").stdout
    assert "请求说明" in terminal("requests", "--lang", "zh-CN").stdout
    assert "unknown_read" in terminal("request", "explain", "ffffffff").stderr
    assert "unknown_read" in terminal("request", "explain", f"urn:uuid:{'f' * 8}").stderr
