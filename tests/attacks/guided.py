"""Bytes that follow the coverage of our parsers (atheris, which drives libFuzzer), for as many runs as one asks for.

    python -m tests.attacks.guided -runs=100000      and any other option of libFuzzer
    python -m tests.attacks.guided --careless …      the control: a parser with a fault four bytes deep

`tests.attacks.fuzz` knows what a document is and bends it. Here nobody tells the bytes anything: an input that reaches
new lines of our code is kept, and bent further. The first byte says who is given the rest.
"""

import hashlib
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["protocol", "crm_core.imports", "crm_core.normal", "crm_core.gateway"]):
    from crm_core import normal
    from crm_core.gateway import upload
    from crm_core.imports import source
    from protocol import canonical, credential, did, multibase, presentation, proof, signature, status, times
    from protocol.errors import EvidenceError
    from tests.attacks import fuzz

from tests.rounds import told

BOUNDS = ("-max_len=8192", "-timeout=600", "-report_slow_units=600", "-rss_limit_mb=1536", "-verbosity=0")
SLOWEST = 5.0  # seconds of the processor for one input; libFuzzer's limit is by the clock, for hangs
LATIN = "latin-1"
SIGNED = ("content-digest", "signature-input", "signature")


def _json(data: bytes) -> None:
    again = canonical.jcs(canonical.parse(data))
    assert canonical.jcs(canonical.parse(again)) == again, "the canonical form of a canonical form is another"


def _signed(data: bytes) -> None:
    """Whatever object it is, signed by its wallet: what lies behind the signature has to stand it."""
    document = canonical.parse(data)
    try:
        whole = canonical.jcs(proof.sign(document, fuzz.WALLET, created=fuzz.AT))
    except (EvidenceError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return  # nobody can sign that: our own tool, not what is under test
    for type_, parse in fuzz.READ.values():
        try:
            found = credential.verify(whole, fuzz.KEYS, at=fuzz.AT, expected_type=type_, check_dates=False)
        except EvidenceError as error:
            refused = error
        else:
            parse(found)
            return
    raise refused


def _credential(data: bytes) -> None:
    type_, parse = fuzz.READ["consent"]
    parse(credential.verify(data, fuzz.KEYS, at=fuzz.AT, expected_type=type_, expected_challenge="c"))
    assert json.loads(data) == json.loads(fuzz.WHOLE["consent"]), "another statement verifies under the same signature"


def _presentation(data: bytes) -> None:
    presentation.verify(data, fuzz.KEYS, expected_challenge="c", expected_domain="d", at=fuzz.AT)


def _upload(data: bytes) -> None:
    upload.read(canonical.parse(data), fuzz.AT)


def _file(data: bytes) -> None:
    given = source.of_bytes(data, format=None)
    for row in source.rows(given, source.examine(given, hashlib.blake2b), hashlib.blake2b):
        assert row.fault or row.number == 0 or len(row.headings) == len(row.cells)


def _cell(data: bytes) -> None:
    type_, text = fuzz.TYPES[data[0] % len(fuzz.TYPES)] if data else "text", data[1:].decode("utf-8", "replace")
    value = normal.normal(type_, text)
    assert not isinstance(value, str) or normal.normal(type_, value) == value, "a normal form has another normal form"
    normal.many(type_, normal.parted(type_, text))


def _request(data: bytes) -> None:
    """The three headers of a signed request, a line each."""
    headers = _GIVEN | dict(zip(SIGNED, data.decode(LATIN).split("\n"), strict=False))
    signature.verify_request("POST", fuzz.URL, headers, fuzz.BODY, fuzz.KEYS, at=fuzz.AT)


def _list(data: bytes) -> None:
    status.Bitstring.decode(data.decode(LATIN))


def _did(data: bytes) -> None:
    did.public_of(did.check(data.decode(LATIN)))


def _time(data: bytes) -> None:
    times.parse(data.decode(LATIN), field="at")


def _key(data: bytes) -> None:
    multibase.decode(data.decode(LATIN), length=34)


@atheris.instrument_func  # type: ignore[untyped-decorator]
def _careless(data: bytes) -> None:
    """What chance does not find: four bytes, one after the other. Coverage finds each by itself."""
    if data[:1] != b"G":
        return
    if data[1:2] != b"A":
        return
    if data[2:3] != b"T":
        return
    if data[3:4] == b"E":
        raise KeyError("a fault of the control")


_GIVEN = {name.lower(): value for name, value in fuzz.HEADERS.items()}
SEEDS: Mapping[Callable[[bytes], None], tuple[bytes, ...]] = {
    _json: tuple(map(canonical.jcs, fuzz.DOCUMENTS.values())),
    _signed: tuple(map(canonical.jcs, fuzz.DOCUMENTS.values())),
    _credential: tuple(fuzz.WHOLE.values()),
    _presentation: (canonical.jcs(fuzz.DOCUMENTS["presentation"]),),
    _upload: (canonical.jcs(fuzz.UPLOAD),),
    _file: tuple(text.encode() for text in fuzz.FILES.values()),
    _cell: tuple(bytes([place]) + text.encode() for place, text in enumerate(fuzz.CELLS)),
    _request: ("\n".join(_GIVEN[name] for name in SIGNED).encode(LATIN),),
    _list: (fuzz.LIST.encode(),),
    _did: (fuzz.WALLET.did.encode(), b"did:web:crm.example.com%3A8700:a"),
    _time: (b"2026-11-22T08:00:00.123+08:00",),
    _key: (multibase.encode(bytes(34)).encode(),),
}


class Told:
    """Gives each input to its parser; whatever is no EvidenceError goes through and ends the program."""

    def __init__(self, targets: tuple[Callable[[bytes], None], ...], runs: int) -> None:
        self.targets, self.runs, self.number, self.found = targets, runs, 0, Counter[str]()

    def __call__(self, data: bytes) -> None:
        if data:
            target, began = self.targets[data[0] % len(self.targets)], time.thread_time()
            try:
                target(data[1:])
                self.found[f"{target.__name__} taken"] += 1
            except EvidenceError:
                self.found[f"{target.__name__} refused"] += 1
            assert time.thread_time() - began < SLOWEST, "too slow an answer"
        self.number += 1
        if self.number % 1_000 == 0:
            told(self.number, self.runs)
        if self.number == self.runs:
            print(json.dumps({"runs": self.number, **dict(sorted(self.found.items()))}), flush=True)


def main(words: list[str]) -> None:
    """Never returns: libFuzzer ends the process, with 0 after the last run."""
    careless = "--careless" in words
    options = [word for word in words if word != "--careless"]
    runs = next((int(word.removeprefix("-runs=")) for word in options if word.startswith("-runs=")), 0)
    targets = (_careless,) if careless else tuple(SEEDS)
    with tempfile.TemporaryDirectory(prefix="fieldgrant-guided-") as place:
        corpus, words = Path(place, "corpus"), Path(place, "words")
        corpus.mkdir()
        for number, target in enumerate(targets):
            for seed, text in enumerate(SEEDS.get(target, (b"",))):
                Path(corpus, f"{number}-{seed}").write_bytes(bytes([number]) + text)
        lines = ("".join(f"\\x{byte:02x}" for byte in token) for token in fuzz.TOKENS)
        words.write_text("".join(f'"{line}"\n' for line in lines), encoding="ascii")
        artefacts = f"-artifact_prefix={place}/"
        atheris.Setup([sys.argv[0], *BOUNDS, f"-dict={words}", artefacts, *options, str(corpus)], Told(targets, runs))
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
