"""The examples against the real gateway: the page's script runs in Node, the site and the vehicle in Python."""

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from fieldgrant.touchpoint import Ed25519Signer, Touchpoint
from tests.crm_core.gateway import CARE, SUPPORT, Gateway

EXAMPLES = Path(__file__).parents[2] / "examples"
SNIPPET = EXAMPLES / "web-form" / "page" / "fieldgrant.js"
ORIGIN = "http://localhost:8710"
FIELDS = ("contact.given_name", "contact.email", "ticket.subject", "ticket.body")
# Node's own fetch would want a server: this one gives the request to the test and waits for its answer.
HARNESS = """
import { createInterface } from "node:readline";
import { send, visit } from "./snippet.mjs";
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const read = async () => JSON.parse((await lines.next()).value);
const write = (value) => process.stdout.write(JSON.stringify(value) + "\\n");
globalThis.fetch = async (url, options) => {
  write({ url, method: options.method, headers: options.headers, credentials: options.credentials,
          body: new TextDecoder().decode(options.body) });
  const answer = await read();
  if (answer.error) throw new TypeError(answer.error);
  return new Response(answer.body, { status: answer.status, headers: answer.headers });
};
const me = await visit();
let kept = false;
try { await crypto.subtle.exportKey("pkcs8", me.key); kept = true; } catch {}
write({ did: me.did, exported: kept });
const { base, delegation, upload } = await read();
write({ result: await send(me, base, delegation, upload) });
process.exit(0);
"""
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(
    NODE is None, reason="node is not on this machine: the page's signature is NOT tested against the gateway"
)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    place = Gateway(tmp_path / "organisation")
    place.clock.set(datetime.now(UTC))  # Node has a clock of its own
    yield place
    place.platform.close()


def example(path: str) -> Any:
    """An example as a module; examples are no package."""
    name = f"example_{Path(path).stem}"
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class Page:
    """The snippet in Node, talking with us line by line."""

    def __init__(self, place: Path, gateway: Gateway) -> None:
        shutil.copy(SNIPPET, place / "snippet.mjs")
        (place / "harness.mjs").write_text(HARNESS)
        self.gateway, self.requests = gateway, []
        self.process = subprocess.Popen(
            [str(NODE), str(place / "harness.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def read(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the page's script ended"
        return json.loads(line)

    def write(self, value: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(value) + "\n")
        self.process.stdin.flush()

    def result(self, *faults: str) -> Any:
        """Carry its requests to the gateway until it has a result; `faults` are failures before that."""
        waiting = list(faults)
        while "result" not in (said := self.read()):
            self.requests.append(said)
            if waiting:
                self.write({"error": waiting.pop(0)})
                continue
            headers = {**said["headers"], "origin": ORIGIN}
            answer = self.gateway.crm.post("/crm/ingest", content=said["body"].encode(), headers=headers)
            told = {"date": format_datetime(self.gateway.now, usegmt=True), "content-type": "application/json"}
            self.write({"status": answer.status_code, "body": answer.text, "headers": told})
        self.process.wait(10)
        return said["result"]


def site_of(gateway: Gateway) -> Any:
    module = example("web-form/site.py")
    form = gateway.registered({SUPPORT: FIELDS}, origins=[ORIGIN])
    return module, module.Site(
        signer=form.signer, base=gateway.settings.base_url, controller=gateway.platform.controller,
        ground=gateway.contract(fields=FIELDS), origin=ORIGIN,
    )  # fmt: skip


def test_the_snippet_is_as_small_as_promised() -> None:
    assert len(SNIPPET.read_bytes()) <= 3000


@needs_node
def test_what_a_page_signs_is_what_the_gateway_verifies(gateway: Gateway, tmp_path: Path) -> None:
    module, site = site_of(gateway)
    page = Page(tmp_path, gateway)
    me = page.read()
    assert me["exported"] is False
    asked = TestClient(module.create(site)).post("/delegation", json={"did": me["did"]}, headers={"origin": ORIGIN})
    told = asked.json()
    values = {FIELDS[0]: "小伟", FIELDS[1]: "wei@example.com", FIELDS[2]: "Hello", FIELDS[3]: 'A "quoted" text ✓'}
    upload = {"purpose": told["purpose"], "ground": told["ground"], "values": values}
    page.write({"base": told["base"], "delegation": told["delegation"], "upload": upload})
    result = page.result("the line is down")  # and tried again
    assert (result["status"], sorted(result["stored"])) == (200, sorted(values))
    assert gateway.stored(result["subject"])[FIELDS[0]] == "小伟"
    first, second = page.requests
    assert (first["body"], first["credentials"]) == (second["body"], "omit")
    assert first["headers"]["Signature-Input"] != second["headers"]["Signature-Input"]


@needs_node
def test_a_page_on_a_machine_whose_clock_is_wrong_gets_through_and_a_refusal_is_told(
    gateway: Gateway, tmp_path: Path
) -> None:
    module, site = site_of(gateway)
    page = Page(tmp_path, gateway)
    did = page.read()["did"]
    gateway.clock.advance(timedelta(minutes=10))  # still within the delegation's quarter of an hour
    told = TestClient(module.create(site)).post("/delegation", json={"did": did}, headers={"origin": ORIGIN}).json()
    upload = {"purpose": told["purpose"], "ground": None, "values": {FIELDS[0]: "Wei"}}
    page.write({"base": told["base"], "delegation": told["delegation"], "upload": upload})
    result = page.result()
    assert (result["status"], result["refused"]) == (403, {FIELDS[0]: "no_ground"})
    assert len(page.requests) == 2


def test_the_site_delegates_to_its_own_page_alone_and_its_policy_is_strict(gateway: Gateway) -> None:
    module, site = site_of(gateway)
    web = TestClient(module.create(site))
    did = Ed25519Signer.generate().did
    for origin in (None, "https://evil.example"):
        headers = {} if origin is None else {"origin": origin}
        assert web.post("/delegation", json={"did": did}, headers=headers).status_code == 403
    for body in ({"did": "did:web:evil.example"}, {}, [], {"did": None}):
        assert web.post("/delegation", json=body, headers={"origin": ORIGIN}).status_code == 400
    for language, word in (("en", "first name"), ("zh-CN", "您的名字")):
        page = web.get("/", headers={"accept-language": language})
        assert word in page.text
        assert f'lang="{language}"' in page.text
        assert "style=" not in page.text
        assert "<script>" not in page.text
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert f"connect-src 'self' {gateway.settings.base_url}" in policy
    assert web.get("/fieldgrant.js").status_code == 200
    assert web.get("/site.py").status_code == 404


def test_a_vehicle_queues_its_readings_and_sends_them_in_batches(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    telemetry = example("vehicle/telemetry.py")
    fields = ("vehicle.mileage", "vehicle.battery_level")
    car = gateway.registered({CARE: fields})
    wallet, given = gateway.consenting(CARE, fields)
    sent: list[int] = []

    def line(request: httpx.Request) -> httpx.Response:
        sent.append(len(json.loads(request.read())["uploads"]))
        answer = gateway.crm.post("/crm/ingest", content=request.read(), headers=dict(request.headers))
        return httpx.Response(answer.status_code, content=answer.content)

    touchpoint = Touchpoint(
        gateway.settings.base_url, car.signer, queue_dir=tmp_path / "queue", transport=httpx.MockTransport(line),
        clock=lambda: gateway.now,
    )  # fmt: skip
    readings = [json.dumps({fields[0]: 1000 + n, fields[1]: 80.5}) for n in range(120)]
    done = telemetry.drive(touchpoint, [*readings, "\n"], subject=wallet.did, consent=given["id"])
    assert (len(done.outcomes), done.left, sent) == (120, 0, [100, 20])
    assert gateway.stored(wallet.subject) == {fields[0]: 1119, fields[1]: 80.5}
    gateway.withdraw(wallet, given)
    late = telemetry.drive(touchpoint, [readings[0]], subject=wallet.did, consent=given["id"])
    assert [one.code for one in late.outcomes] == ["withdrawn"]
    assert late.left == 0
