"""The description that is served: complete for every operation, and the page made of it stays within its own policy."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from fieldgrant import compose, pages
from fieldgrant.compose import PARTIES
from runtime.platform import Platform
from runtime.settings import Settings


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    home: Path = tmp_path_factory.mktemp("home")
    settings = Settings(home=home, mail_dir=home / "mail", wallet_url="http://localhost:8701")
    platform = Platform.create(settings)
    return TestClient(compose.app(compose.house(platform), PARTIES))


def test_every_operation_says_what_it_does_and_what_it_refuses(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert set(document["components"]["securitySchemes"]) == {"HTTPBearer", "StaffCookie", "WalletSignature"}
    for path, verbs in document["paths"].items():
        for verb, said in verbs.items():
            assert said.get("summary"), (verb, path)
            assert said.get("description"), (verb, path)
            if said.get("security"):
                assert {"401", "403"} & set(said["responses"]), (verb, path)
            assert "HTTPValidationError" not in str(said), (verb, path)
            if path.startswith("/issuer/wallet/"):
                assert said["security"] == [{"WalletSignature": []}]


def test_the_first_page_has_a_door_for_each_of_those_who_come(client: TestClient) -> None:
    told = client.get("/", headers={"accept": "application/json"}).json()
    page = client.get("/", headers={"accept": "text/html,*/*"})
    assert told.pop("openapi") == "/openapi.json"
    assert told["wallet"] == "http://localhost:8701"
    assert told["desk"] == pages.place("crm")
    for address in told.values():
        assert f'<a href="{address}">' in page.text


def test_the_page_has_no_script_and_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text
    assert "style=" not in page.text
    assert "//" not in page.text.replace("<!doctype html>", "").replace('"http://localhost:8701"', "")
    for file in ("/glance.css", "/glance.svg"):
        assert client.get(file).status_code == 200
