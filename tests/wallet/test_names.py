"""What is shown in the owner's terminal has the organisation's words in the owner's language, and ids where it must."""

from dataclasses import replace
from io import StringIO
from typing import Any

import httpx
import pytest
from rich.console import Console

from protocol.did import Did
from wallet import disposed, names, render
from wallet.client import Client
from wallet.errors import WalletError
from wallet.holding import Holding
from wallet.names import Names
from wallet.wallet import now

CATALOGUE = {
    "fields": {"contact.email": {"labels": {"en": "E-mail address", "zh-CN": "电子邮箱"}}, "odd": "no node"},
    "purposes": {
        "marketing": {"iri": "https://w3id.org/dpv#DirectMarketing", "labels": {"en": "Offers", "zh-CN": "优惠信息"}}
    },
}
HERE, ELSEWHERE = "did:web:crm.example.com", "did:web:other.example.com"


@pytest.mark.parametrize(
    ("language", "field", "purpose"), [("en", "E-mail address", "Offers"), ("zh", "电子邮箱", "优惠信息")]
)
def test_fields_and_purposes_have_labels_in_the_owners_language(language: str, field: str, purpose: str) -> None:
    known = Names(language, {HERE: CATALOGUE}).of(HERE)
    assert known.field("contact.email") == field
    assert known.both("contact.email") == f"{field} (contact.email)"
    assert known.purpose("https://w3id.org/dpv#DirectMarketing") == known.purpose("marketing") == purpose


def test_another_organisations_words_do_not_count_and_what_has_no_label_keeps_its_id() -> None:
    known = Names("en", {ELSEWHERE: CATALOGUE}).of(HERE)
    assert known.both("contact.email") == "contact.email"
    assert known.purpose("https://w3id.org/dpv#DirectMarketing") == "DirectMarketing"
    assert Names("en", {HERE: CATALOGUE}).field("odd") == "odd"
    assert Names("en", {HERE: {"fields": "none"}}).field("contact.email") == "contact.email"


def test_the_history_says_in_words_that_nothing_was_shown() -> None:
    item = {"time": "2026-11-22T08:00:00Z", "kind": "release", "role": "sales", "purpose": "marketing",
            "released": [], "withheld": {"contact.email": "withdrawn"}}  # fmt: skip
    for language, words, label in (
        ("en", "looked up, nothing shown", "E-mail"),
        ("zh", "被查询，未显示任何内容", "电子邮箱"),
    ):
        out = StringIO()
        Console(file=out, width=200).print(render.history([item], Names(language, {HERE: CATALOGUE})))
        assert words in out.getvalue()
        assert label in out.getvalue()


def _answering(**paths: Any) -> tuple[Client, list[str]]:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        found = paths.get(request.url.path.rpartition("/")[2].replace(".", "_"))
        return httpx.Response(503) if found is None else httpx.Response(200, **found)

    return Client(now, transport=httpx.MockTransport(answer)), asked


def _holding(**more: Any) -> Holding:
    services = [
        {"id": f"{HERE}#{kind}", "type": kind, "serviceEndpoint": "https://crm.example.com"}
        for kind in ("FieldgrantIssuer", "FieldgrantAudit")
    ]
    document = {"id": HERE, "service": services}
    return Holding(controller=Did(HERE), issuer="https://crm.example.com", document=document, seed=b"s" * 32, **more)


def test_words_once_seen_stay_when_the_organisation_does_not_answer() -> None:
    client, _ = _answering(catalogue={"json": CATALOGUE})
    assert names.fetched(client, _holding()) == CATALOGUE
    silent, _ = _answering()
    assert names.fetched(silent, _holding(catalogue=CATALOGUE)) == CATALOGUE
    assert names.fetched(silent, _holding()) is None


def test_a_wallet_keeps_words_and_the_logs_key_in_its_file_and_reads_one_that_has_neither() -> None:
    held = _holding(log_key="log+00+key", catalogue=CATALOGUE)
    assert Holding.from_json(held.to_json()) == held
    older = {name: value for name, value in held.to_json().items() if name not in {"log_key", "catalogue"}}
    assert Holding.from_json(older) == replace(held, log_key=None, catalogue=None)


def test_the_logs_key_is_text_or_is_not_believed() -> None:
    client, _ = _answering(log_vkey={"content": b"log+00+key\n"})
    assert disposed.log_key(client, _holding()) == "log+00+key"
    broken, _ = _answering(log_vkey={"content": b"\xff\xfe"})
    with pytest.raises(WalletError, match="cannot be read"):
        disposed.log_key(broken, _holding())
