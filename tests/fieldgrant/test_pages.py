"""The pages as they are served: what they may do is in their headers, and no address leads out of them."""

import gzip
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import typer
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fieldgrant import compose, pages, serve
from fieldgrant.compose import PARTIES
from fieldgrant.demo.stage import free_ports
from runtime import problem
from runtime.platform import Platform
from runtime.settings import Settings

SCRIPT = b"export const x = 1;\n" * 200
SECRET = b"not for everybody"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    (folder / "secret.txt").write_bytes(SECRET)
    for name in ("crm", "wallet"):
        assets = folder / name / "assets"
        assets.mkdir(parents=True)
        (folder / name / "index.html").write_text("<!doctype html><title>x</title>")
        (assets / "index-DryYsQpu.js").write_bytes(SCRIPT)
        (assets / "plain.js").write_bytes(b"1")
        (folder / name / "leak.txt").symlink_to(folder / "secret.txt")
    (folder / "wallet" / "sw.js").write_bytes(b"self;")
    (folder / "wallet" / "manifest.webmanifest").write_bytes(b"{}")
    return folder


@pytest.fixture(scope="module")
def wallet(built: Path) -> TestClient:
    return TestClient(pages.wallet_app(built=built))


@pytest.fixture(scope="module")
def desk(built: Path) -> TestClient:
    app = FastAPI()
    problem.install(app)
    pages.add(app, "crm", built=built)
    pages.add(app, "audit", built=built)  # was not built
    return TestClient(app, follow_redirects=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    home = tmp_path_factory.mktemp("home")
    platform = Platform.create(Settings(home=home, mail_dir=home / "mail"))
    yield TestClient(compose.app(compose.house(platform), PARTIES))
    platform.close()


def test_a_page_may_run_its_own_scripts_and_nothing_else(desk: TestClient, wallet: TestClient) -> None:
    for client, path in ((desk, "/desk/"), (wallet, "/"), (desk, "/desk/assets/index-DryYsQpu.js")):
        headers = client.get(path).headers
        rules = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
        assert rules["default-src"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
        assert rules["script-src"] == rules["style-src"] == "'self'"
        assert rules["require-trusted-types-for"] == "'script'"
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["integrity-policy"] == "blocked-destinations=(script)"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"


def test_only_the_wallet_calls_other_origins_and_only_it_has_a_policy_for_its_worker(
    desk: TestClient, wallet: TestClient
) -> None:
    staff, customer = (one.get(at).headers["content-security-policy"] for one, at in ((desk, "/desk/"), (wallet, "/")))
    assert "connect-src 'self';" in staff
    assert staff.endswith(f"trusted-types {pages.PARTS_POLICY}")
    assert "connect-src 'self' https: http://localhost:*;" in customer
    assert customer.endswith(f"trusted-types {pages.PARTS_POLICY} {pages.WORKER_POLICY}")


@pytest.mark.parametrize(
    ("source", "policy"),
    [("wallet/web/src/worker.ts", pages.WORKER_POLICY), ("crm_core/web/ui/parts.tsx", pages.PARTS_POLICY)],
)
def test_the_policies_are_those_that_the_pages_name(source: str, policy: str) -> None:
    assert f'POLICY = "{policy}"' in (Path(__file__).parents[2] / source).read_text()


def test_what_has_its_digest_in_its_name_lasts_and_the_rest_is_asked_for_anew(wallet: TestClient) -> None:
    lasting = wallet.get("/assets/index-DryYsQpu.js").headers["cache-control"]
    assert "immutable" in lasting
    for path in ("/", "/index.html", "/sw.js", "/manifest.webmanifest", "/assets/plain.js"):
        answer = wallet.get(path)
        assert answer.headers["cache-control"] == "no-cache", path
        again = wallet.get(path, headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert wallet.get("/manifest.webmanifest").headers["content-type"] == "application/manifest+json"


def test_a_script_goes_out_compressed_to_those_who_take_it(wallet: TestClient) -> None:
    path = "/assets/index-DryYsQpu.js"
    squeezed = wallet.get(path, headers={"accept-encoding": "br, gzip"})
    assert squeezed.headers["content-encoding"] == "gzip"
    assert int(squeezed.headers["content-length"]) < len(gzip.compress(SCRIPT)) + 20
    assert squeezed.content == SCRIPT
    for other in ("identity", "gzip;q=0", "br"):
        assert "content-encoding" not in wallet.get(path, headers={"accept-encoding": other}).headers
    assert squeezed.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt", "%2e%2e/secret.txt", "..%2fsecret.txt", "assets/../../secret.txt", "..%5csecret.txt",
        "leak.txt", "%2fetc%2fpasswd", "/etc/passwd", "assets", "assets/", "index.html%00", ".stamp", "%ff",
    ],
)  # fmt: skip
def test_no_address_leads_out_of_a_page(desk: TestClient, wallet: TestClient, path: str) -> None:
    for client, place in ((desk, "/desk/"), (wallet, "/")):
        answer = client.get(f"{place}{path}")
        assert answer.status_code == 404, path
        assert SECRET not in answer.content


def test_a_page_that_was_not_built_says_what_to_do(desk: TestClient) -> None:
    answer = desk.get("/auditor/")
    assert answer.status_code == 503
    assert "tools/web.py build" in answer.text
    assert "<script" not in answer.text
    assert desk.get("/auditor/assets/x.js").json()["code"] == "pages_not_built"


def test_a_place_without_its_slash_leads_to_it_and_a_page_takes_nothing(desk: TestClient, wallet: TestClient) -> None:
    assert desk.get("/desk").headers["location"] == "/desk/"
    assert desk.head("/desk/").status_code == 200
    for method in ("POST", "PUT", "DELETE"):
        assert wallet.request(method, "/").status_code == 405


def test_the_wallets_origin_has_nothing_of_the_organisation(wallet: TestClient) -> None:
    for path in ("/staff/sessions", "/staff/session", "/issuer/catalogue", "/crm/customers", "/openapi.json", "/desk/"):
        assert wallet.get(path).status_code == 404
    assert "set-cookie" not in wallet.get("/", headers={"cookie": "__Host-fieldgrant=x"}).headers


ELSEWHERE = {"origin": "http://localhost:8701"}
ASKED = {"access-control-request-headers": "content-digest, content-type, signature, signature-input"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/issuer/enrolments/challenge"), ("POST", "/issuer/enrolments"), ("POST", "/issuer/wallet/consents"),
        ("GET", "/issuer/wallet/asks"), ("GET", "/issuer/wallet/requests/key"), ("GET", "/.well-known/did.json"),
        ("GET", "/issuer/catalogue"), ("GET", "/issuer/notices/marketing/1"), ("GET", "/issuer/status/1"),
        ("POST", "/crm/rights/answers"), ("GET", "/redaction/certificates"), ("GET", "/redaction/state"),
        ("GET", "/audit/history"), ("GET", "/audit/proofs"), ("GET", "/audit/log.vkey"), ("GET", "/audit/checkpoint"),
    ],
)  # fmt: skip
def test_a_wallet_of_any_origin_is_answered_without_credentials(whole: TestClient, method: str, path: str) -> None:
    headers = {**ELSEWHERE, **ASKED, "access-control-request-method": method}
    before = whole.options(path, headers=headers)
    assert before.status_code == 204
    assert method in before.headers["access-control-allow-methods"]
    allowed = before.headers["access-control-allow-headers"].split(", ")
    assert {"signature", "signature-input", "content-digest"} <= set(allowed)
    assert not {"authorization", "x-csrf-token", "cookie", "*"} & set(allowed)
    answer = whole.request(method, path, headers=ELSEWHERE)  # refused or not
    for one in (before, answer):
        assert one.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in one.headers
    assert "Date" in answer.headers["access-control-expose-headers"]


def test_no_other_route_answers_another_origin(whole: TestClient) -> None:
    open_, closed = 0, 0
    for path, verbs in whole.get("/openapi.json").json()["paths"].items():
        at = path.replace("{purpose}", "marketing").replace("{version}", "1").replace("{n}", "1")
        for verb, said in verbs.items():
            asked = {**ELSEWHERE, "access-control-request-method": verb.upper()}
            answers = [whole.options(at, headers=asked), whole.options(at, headers={**asked, **ASKED})]
            answers += [whole.request(verb, at, headers=ELSEWHERE)] if verb == "get" else []
            told = any("access-control-allow-origin" in one.headers for one in answers)
            staff = any("HTTPBearer" in way for way in said.get("security", []))
            assert not (told and staff), (verb, path)
            open_, closed = open_ + told, closed + (not told)
    assert open_ > 15
    assert closed > 50
    for path in ("/", "/desk/", "/auditor/", "/openapi.json", "/health", "/staff/sessions", "/issuer/walletx"):
        assert "access-control-allow-origin" not in whole.get(path, headers=ELSEWHERE).headers


def test_a_preflight_that_wants_more_than_a_wallet_needs_is_not_answered(whole: TestClient) -> None:
    for method, header in (("POST", "authorization"), ("POST", "x-csrf-token"), ("DELETE", "signature")):
        asked = {"access-control-request-method": method, "access-control-request-headers": header}
        answer = whole.options("/issuer/wallet/consents", headers={**ELSEWHERE, **asked})
        assert "access-control-allow-origin" not in answer.headers


def test_no_answer_of_the_api_is_left_in_a_cache_unless_it_is_public(whole: TestClient) -> None:
    for path in ("/crm/customers?purpose=marketing", "/staff/me", "/issuer/wallet/asks", "/health", "/nowhere"):
        assert whole.get(path).headers["cache-control"] == "no-store"


def test_the_staff_cookie_opens_no_wallets_route(whole: TestClient) -> None:
    cookie = {"cookie": "__Host-fieldgrant=whatever"}
    for method, path in (("POST", "/issuer/enrolments/challenge"), ("GET", "/issuer/wallet/asks")):
        answer = whole.request(method, path, json={"token": "x" * 20} if method == "POST" else None, headers=cookie)
        assert (answer.status_code, answer.json()["code"]) == (403, "staff_not_wallet")


def test_the_wallet_has_a_port_of_its_own_for_as_long_as_the_house_is_served() -> None:
    (port,) = free_ports(1)
    with serve._wallet(port):
        for _ in range(200):
            try:
                answer = httpx.get(f"http://localhost:{port}/", timeout=5, trust_env=False)
                break
            except httpx.ConnectError:
                time.sleep(0.05)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://localhost:{port}/", timeout=5, trust_env=False)


def test_a_port_that_nobody_asked_for_is_done_without_and_one_that_somebody_did_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert serve._wallet_port(None, port) == 0
        with pytest.raises(typer.Exit):
            serve._wallet_port(port, 0)
    assert serve._wallet_port(0, 8701) == 0
    assert serve._wallet_port(None, 65_536) == 0
