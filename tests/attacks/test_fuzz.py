"""Bad bodies by the hundred and by the million: each is taken, or refused with a code; nothing breaks or hangs."""

import json
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from fieldgrant import compose
from protocol import canonical, proof
from protocol.errors import EvidenceError
from runtime.problem import Problem
from tests.attacks import fuzz
from tests.attacks.holder import Held
from tests.attacks.pieces import EMAIL
from tests.attacks.place import Place
from tests.attacks.test_staff import ROUTES
from tests.rounds import told

MILLION = pytest.param(1_000_000, marks=pytest.mark.torture)
GROWTH = 256 * 2**10  # KiB: what a million inputs may leave behind at most, caches and all
SLOWEST = 5.0  # seconds of the processor for one input
CURATED = 500
ROOT = Path(__file__).resolve().parents[2]
GUIDED = (
    "_json", "_signed", "_credential", "_presentation", "_upload", "_file", "_cell", "_request", "_list", "_did",
    "_time", "_key",
)  # fmt: skip
NOBODY = "0" * 26
DEEP = 6
WALLETS, VC_API = "/issuer/wallet/", "/verifier/credentials/verify"  # which refuses in a form of its own
STAFF = ("dpo", "marketing", "service", "admin", "steward")
PLAIN: Mapping[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "object": {EMAIL: "a@b.cn"}}


@pytest.mark.parametrize("count", [6_000, MILLION])
def test_whatever_a_parser_is_given_it_answers_or_refuses_with_a_code(count: int) -> None:
    found, slowest, before = Counter[str](), 0.0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(count):
        began = time.thread_time()
        try:
            one = fuzz.tried(20261123, number)
        except Exception as error:
            raise AssertionError(f"input {number}: {type(error).__name__}") from error
        slowest = max(slowest, time.thread_time() - began)
        found[f"{one.target} {'taken' if one.code is None else 'refused'}"] += 1
        if number % 1_000 == 0:
            told(number, count)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{count} inputs, {grown} KiB more, the slowest {slowest * 1000:.0f} ms: {dict(sorted(found.items()))}")
    assert slowest < SLOWEST
    assert grown < GROWTH
    for target in fuzz.TARGETS:  # each was reached, and looks
        assert found[f"{target.__name__} refused"], target


def test_control_a_parser_that_breaks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(dice: random.Random) -> None:
        json.loads(fuzz.bent(dice, b'{"a": 1}'))

    monkeypatch.setattr(fuzz, "TARGETS", (careless,))
    with pytest.raises(json.JSONDecodeError):
        list(map(partial(fuzz.tried, 1), range(50)))


def guided(*options: str) -> subprocess.CompletedProcess[str]:
    """`tests.attacks.guided` in a process of its own: libFuzzer ends the one that it runs in."""
    command = [sys.executable, "-m", "tests.attacks.guided", "-seed=20261123", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has wheels for Linux on x86-64 only")
@pytest.mark.parametrize("count", [20_000, MILLION])
def test_bytes_that_follow_the_coverage_are_answered_or_refused_with_a_code(count: int) -> None:
    done = guided(f"-runs={count}")
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    print(found)
    assert found.pop("runs") == count
    assert {name.rpartition(" ")[0] for name in found} == set(GUIDED)
    for name in GUIDED:  # each was reached, and looks; and takes what is right
        assert found[f"{name} refused"], name
        assert found[f"{name} taken"], name


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has wheels for Linux on x86-64 only")
def test_control_a_fault_that_chance_does_not_reach_is_found_by_coverage() -> None:
    done = guided("--careless", "-runs=1000000")
    assert done.returncode, done.stdout
    assert "a fault of the control" in done.stdout + done.stderr


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every member of a document."""
    for key, inner in document.items() if isinstance(document, dict) else enumerate(document):
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))


def curated(good: Mapping[str, Any]) -> list[tuple[tuple[Any, ...], Any]]:
    """Every member of a consent with values that break parsers, five hundred in all, evenly chosen."""
    whole = [(place, atom) for place in places(good) for atom in fuzz.ATOMS]
    return whole[:: len(whole) // CURATED][:CURATED]


def put(document: Mapping[str, Any], place: tuple[Any, ...], atom: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(document))
    node: Any = made
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = atom
    return made


def test_five_hundred_bad_consents_are_each_refused_with_a_code_and_change_nothing(place: Place, mina: Held) -> None:
    """By the registry, which raises a code or breaks; each tenth is sent over HTTP as well."""
    ask, registry = place.asked(mina), compose.house(place.platform).registry
    good = {name: part for name, part in mina.consent(ask).items() if name != "proof"}
    before, codes = place.state(), Counter[str]()
    for number, (where, atom) in enumerate(curated(good)):
        document = put(good, where, atom)
        try:
            document = proof.sign(document, mina.signer, created=place.now, challenge=ask.challenge, domain=ask.domain)
            canonical.jcs(document)
        except (EvidenceError, ValueError, TypeError):  # no wallet can sign that: somebody sends it all the same
            document["proof"] = mina.consent(ask)["proof"]
        with pytest.raises((EvidenceError, Problem)) as refused:
            registry.consent(json.dumps(document).encode(), mina.did)
        codes[refused.value.code] += 1
        if number % 10 == 0:
            data = json.dumps({"consent": document}).encode()
            answer = mina.call("POST", f"{WALLETS}consents", data, nonce=f"curated-{number}")
            assert 400 <= answer.status_code < 500, (where, atom, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
    assert place.state() == before
    assert sum(codes.values()) == CURATED
    assert len(codes) >= 10, codes


@pytest.mark.parametrize("count", [200, pytest.param(20_000, marks=pytest.mark.torture)])
def test_no_body_makes_a_route_fail(place: Place, thief: Held, count: int) -> None:
    """Every route that takes a body, as its description says it, bent; mostly from staff who may, and from wallets."""
    described = place.http.get(f"{place.base}/openapi.json").json()
    routes = list(taking(described))
    assert len(routes) > 40
    answers, before = Counter[int](), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(count):
        dice = random.Random(f"routes:{number}")  # noqa: S311 - inputs, not secrets
        route = routes[number % len(routes)]
        answer = sent(place, thief, route, twisted(dice, route.body), who(dice, route))
        answers[answer.status_code] += 1
        assert answer.status_code < 500, (number, route, answer.text)
        problem = answer.headers.get("content-type") == "application/problem+json"
        assert answer.is_success or problem or route.path == VC_API, (number, route)
        if (number + 1) % 100 == 0:
            told(number + 1, count)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # the server is a thread of this process
    print(f"{dict(answers)}, {grown} KiB more")
    assert answers[403] + answers[429] < count / 4  # the others came to where a body is read
    assert grown < GROWTH


class Route(NamedTuple):
    """What takes a body, of which content type, and one as it should be."""

    verb: str
    path: str
    kind: str
    body: Any


def who(dice: random.Random, route: Route) -> str:
    """An account that may use the route, or now and then any."""
    may = ROUTES[route.verb.upper(), route.path]
    return dice.choice(sorted(may & set(STAFF)) if isinstance(may, Set) and dice.random() < 0.9 else STAFF)


def sent(place: Place, held: Held, route: Route, data: bytes, account: str) -> httpx.Response:
    path = route.path.replace("{subject}", held.subject).replace("{id}", fuzz.ID.format(7)).replace("{item}", NOBODY)
    if path.startswith(WALLETS):
        return place.signed(held.signer, route.verb.upper(), path, data, headers={"content-type": route.kind})
    headers = {**place.desk(account), "content-type": route.kind}
    return place.http.request(route.verb.upper(), f"{place.base}{path}", content=data, headers=headers)


def twisted(dice: random.Random, body: Any) -> bytes:
    if not isinstance(body, dict):
        return fuzz.bent(dice, str(body).encode())
    data = json.dumps(fuzz.twisted(dice, body)).encode()
    return data if dice.random() < 0.8 else fuzz.bent(dice, data)


def taking(described: Mapping[str, Any]) -> Iterator[Route]:
    """Each route with a body, as the description says it; signing in is limited, and left out."""
    for path, verbs in described["paths"].items():
        for verb, operation in verbs.items() if path != "/staff/sessions" else ():
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                body = content.get("example") or sample(content.get("schema", {}), described)
                yield Route(verb, path, kind, body)


def sample(schema: Mapping[str, Any], described: Mapping[str, Any], depth: int = 0) -> Any:
    """Some value that a schema describes."""
    if "$ref" in schema:
        return sample(described["components"]["schemas"][schema["$ref"].rpartition("/")[2]], described, depth + 1)
    told = [schema[name] for name in ("example", "default", "const") if schema.get(name) is not None]
    told += [schema[name][0] for name in ("examples", "enum") if schema.get(name)]
    told += [sample(schema[name][0], described, depth + 1) for name in ("anyOf", "oneOf", "allOf") if schema.get(name)]
    if "properties" in schema:
        told.append({name: sample(part, described, depth + 1) for name, part in schema["properties"].items()})
    if schema.get("type") == "array":
        told.append([sample(schema.get("items", {}), described, depth + 1)] if depth < DEEP else [])
    return told[0] if told else PLAIN.get(schema.get("type", ""), EMAIL)
