"""Does a bundle prove what it claims? Offline: with the bundle and the log's key, and nothing of the organisation's."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from audit import container, statement, verify_chain, verify_credentials, verify_story
from audit.report import Check, IncompleteError, Outcome, Report
from protocol.errors import EvidenceError

T = TypeVar("T")


class _StopError(Exception):
    """A check did not hold on which the following ones rest."""


class _Bench:
    """The checks made so far."""

    def __init__(self) -> None:
        self.checks: list[Check] = []

    def must(self, name: str, check: Callable[[], T], detail: Callable[[T], str]) -> T:
        """Make a check that others rest on: without it, stop."""
        try:
            found = check()
        except EvidenceError as error:
            self._add(name, Outcome.FAILED, error.code, error.detail)
            raise _StopError from None
        self._add(name, Outcome.OK, None, detail(found))
        return found

    def should(self, name: str, check: Callable[[], object], detail: str) -> None:
        """Make a check on which nothing rests."""
        try:
            check()
        except EvidenceError as error:
            self._add(name, Outcome.FAILED, error.code, error.detail)
        except IncompleteError as error:
            self._add(name, Outcome.INCOMPLETE, error.code, error.detail)
        else:
            self._add(name, Outcome.OK, None, detail)

    def _add(self, name: str, outcome: Outcome, code: str | None, detail: str) -> None:
        self.checks.append(Check(name, outcome, code, detail))


def verify(bundle: bytes, log_key: str) -> Report:
    """Check `bundle` (the zip's bytes) under the log's verifier key (C2SP vkey). Never raises on bad input."""
    bench = _Bench()
    with suppress(_StopError):
        _verify(bench, bundle, log_key.strip())
    return Report(tuple(bench.checks))


def _verify(bench: _Bench, bundle: bytes, log_key: str) -> None:
    files = bench.must(
        "container", lambda: container.unpack(bundle), lambda found: f"{len(found)} files, canonical zip"
    )
    bench.must("manifest", lambda: verify_chain.check_manifest(files), lambda _: "every file is the one listed")
    envelope, manifest = files["statement.dsse.json"], files["manifest.json"]
    claim = bench.must(
        "statement",
        lambda: statement.verify(envelope, manifest, log_key),
        lambda found: f"the log {found.origin} speaks for the manifest",
    )
    bench.must(
        "checkpoint",
        lambda: verify_chain.check_checkpoint(files, claim, log_key),
        lambda _: f"signed head of {claim.size} leaves",
    )
    story = bench.must(
        "inclusion",
        lambda: verify_chain.read_events(files, claim),
        lambda found: f"{len(found.own) + len(found.organisation)} records lead to the head",
    )
    bench.must("chain", lambda: _whole(bench, files, story), lambda found: found)
    controller, keys = bench.must(
        "controller", lambda: verify_credentials.controller_of(files, story), lambda found: found[0]
    )
    papers = bench.must(
        "credentials",
        lambda: verify_credentials.read(files, story, controller, keys),
        lambda found: f"{len(found.digests)} signed credentials",
    )
    bench.should(
        "consents",
        lambda: verify_credentials.check_consents(papers),
        f"{len(papers.consents)} consents, each within what was asked",
    )
    walk = bench.must(
        "releases",
        lambda: verify_story.check_story(story, papers),
        lambda found: f"{found.releases} releases, each under a ground that was living and covers it",
    )
    bench.should(
        "endings",
        lambda: verify_story.check_endings(walk),
        f"{len(walk.endings)} endings, each shut, disposed of and certified",
    )


def _whole(bench: _Bench, files: dict[str, bytes], story: verify_chain.Story) -> str:
    try:
        verify_chain.check_chain(files, story)
    except IncompleteError as error:
        bench.checks.append(Check("bodies", Outcome.INCOMPLETE, error.code, error.detail))
    shown = f"{len(story.own)} of them shown"
    if told := story.claim.scope.told():
        shown += f"; of reads only those of {', '.join(f'{name} {value}' for name, value in told.items())}"
    return f"{story.claim.length} records of {story.claim.subject} without a gap, {shown}"
