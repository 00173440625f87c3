"""The board: how the house runs just now, in numbers that name nobody, and what takes longer than it may.

Cost: what is new in the outbox (`tally`), the acts of withdrawal of the last hour and the open jobs, each by an index,
the certificates of the last hour by their key, and one pass over touchpoints and over notices that are open or were
closed of late. Nothing grows with the number of customers.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any, Final

from sqlmodel import Session, col, func, or_, select

from crm_core.gateway import touchpoints
from issuer.settling import WITH_RECEIPT, Settling
from protocol import times
from redaction.disposition import DONE, STEPS, Job
from redaction.downstream import NoticeRow
from redaction.due import LapseRow
from redaction.rotation import Rotation
from redaction.status import BY_AN_ACT
from redaction.tally import COUNTED, WINDOW, Link, Minute, Tally, between
from runtime.platform import Platform

Json = dict[str, Any]

THRESHOLD: Final = 15.0  # seconds
FAILING: Final = 0.05  # of what a link was to carry
LEAST: Final = 20  # tries before a share of failures says anything
_OPEN_STEPS: Final = tuple(step for step in STEPS if step != DONE)
_NAMES: Final = tuple(dict.fromkeys(COUNTED.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """Seconds that something took, over the last hour; `open_longest` is the age of the oldest not over yet."""

    count: int
    median: float | None
    longest: float | None
    open: int
    open_longest: float | None


def read(session: Session, platform: Platform, tally: Tally, at: datetime, threshold: float = THRESHOLD) -> Json:
    """The whole board at one instant; `alerts` says what is above `threshold` seconds, or fails too often."""
    since, now = times.iso_ms(at - WINDOW), times.iso_ms(at)
    minutes = tally.look(session, at)
    shut, disposed = _shut(session, since, now), _disposed(session, minutes, now)
    queue = _queue(session, now)
    touch, told = _touchpoints(session, platform, minutes, at), _recipients(session, platform, since, now)
    return {
        "at": now,
        "since": since,
        "threshold": threshold,
        "minutes": _series(minutes, at),
        "totals": {name: sum(one.counts[name] for one in minutes.values()) for name in _NAMES},
        "shut": asdict(shut),
        "disposition": asdict(disposed),
        "queue": queue,
        "touchpoints": touch,
        "recipients": told,
        "alerts": _alerts(threshold, shut, disposed, queue, [*touch, *told]),
    }


def _series(minutes: Mapping[str, Minute], at: datetime) -> list[Json]:
    """Sixty-one minutes, those without anything too: a chart without gaps."""
    keys = [times.iso_ms(at - timedelta(minutes=ago))[:16] for ago in range(60, -1, -1)]
    empty = Minute()
    return [{"minute": f"{key}Z", **{name: minutes.get(key, empty).counts[name] for name in _NAMES}} for key in keys]


def _shut(session: Session, since: str, now: str) -> Took:
    """From the commit of a withdrawal to the gate being shut: every read that was under way has ended."""
    rows = session.exec(
        select(Settling.at, Settling.settled_at).where(
            col(Settling.kind).in_(WITH_RECEIPT),
            or_(col(Settling.settled_at).is_(None), col(Settling.settled_at) >= since),
        )
    ).all()
    return _took([(at, over) for at, over in rows if over is None or at >= since], now)


def _disposed(session: Session, minutes: Mapping[str, Minute], now: str) -> Took:
    """From the act that ended a ground to the key that nobody holds any more, and the certificate over it."""
    ids = [id_ for one in minutes.values() for id_ in one.certificates]
    rows: list[tuple[str, str | None]] = []
    for start in range(0, len(ids), 500):
        found = session.exec(
            select(Job.ended_at, Job.destroyed_at, Job.done_at).where(
                col(Job.id).in_(ids[start : start + 500]), col(Job.cause).in_(BY_AN_ACT)
            )
        )
        rows += [(ended, destroyed or done) for ended, destroyed, done in found]
    waiting = select(Job.ended_at).where(col(Job.step).in_(_OPEN_STEPS), col(Job.cause).in_(BY_AN_ACT))
    return _took([*rows, *((ended, None) for ended in session.exec(waiting))], now)


def _took(spans: Sequence[tuple[str, str | None]], now: str) -> Took:
    over = [max(0.0, between(first, last)) for first, last in spans if last is not None]
    still = [max(0.0, between(first, now)) for first, last in spans if last is None]
    return Took(
        count=len(over),
        median=median(over) if over else None,
        longest=max(over, default=None),
        open=len(still),
        open_longest=max(still, default=None),
    )


def _queue(session: Session, now: str) -> Json:
    steps = session.exec(
        select(Job.step, func.count(), func.min(Job.planned_at), func.count(col(Job.error)))
        .where(col(Job.step).in_(_OPEN_STEPS))
        .group_by(col(Job.step))
    ).all()
    oldest = min((planned for _, _, planned, _ in steps), default=None)
    disputed = select(func.count()).select_from(LapseRow).where(col(LapseRow.error).is_not(None))
    under_way = select(func.count(), func.sum(Rotation.rewrapped)).where(col(Rotation.dropped_at).is_(None))
    buckets, moved = session.exec(under_way).one()
    return {
        "open": sum(count for _, count, _, _ in steps),
        "steps": {step: count for step, count, _, _ in steps},
        "failing": sum(failing for *_, failing in steps),
        "oldest": None if oldest is None else max(0.0, between(oldest, now)),
        "disputed": session.exec(disputed).one(),
        "rotating": {"buckets": buckets, "moved": moved or 0},
    }


def _touchpoints(session: Session, platform: Platform, minutes: Mapping[str, Minute], at: datetime) -> list[Json]:
    links: defaultdict[str, Link] = defaultdict(Link)
    for minute in minutes.values():
        for id_, one in minute.links.items():
            link = links[id_]
            link.stored, link.held, link.refused = (
                link.stored + one.stored, link.held + one.held, link.refused + one.refused,
            )  # fmt: skip
            link.delays += one.delays
    known = {str(one["id"]): one for one in touchpoints.listed(session, platform, at)}
    shown = []
    for id_ in sorted({*links, *(id_ for id_, one in known.items() if one.get("standing") == "living")}):
        link, about = links[id_], known.get(id_, {})
        done, bad = link.stored + link.held, link.refused
        more = {"name": about.get("name"), "stored": link.stored, "held": link.held, "refused": link.refused}
        shown.append(_link("touchpoint", id_, done, bad, link.delays) | more)
    return shown


def _recipients(session: Session, platform: Platform, since: str, now: str) -> list[Json]:
    """Those who are told of an end: notices closed in the last hour, and all that are open."""
    rows = session.exec(
        select(NoticeRow).where(
            or_(col(NoticeRow.closed_at).is_(None), col(NoticeRow.closed_at) >= since),
            NoticeRow.recipient != platform.controller,
        )
    ).all()
    by: defaultdict[str, list[NoticeRow]] = defaultdict(list)
    for row in rows:
        by[row.recipient].append(row)
    shown = []
    for recipient, notices in sorted(by.items()):
        waiting = [one for one in notices if one.delivered_at is None and one.closed_at is None]
        sent = [one for one in notices if one.delivered_at is not None and one.delivered_at >= since]
        failing = sum(one.error is not None for one in waiting)
        delays = [max(0.0, between(one.at, one.delivered_at)) for one in sent if one.delivered_at is not None]
        ages = [max(0.0, between(one.at, now)) for one in waiting]
        more = {"waiting": len(waiting), "failing": failing, "oldest": max(ages, default=None)}
        shown.append(_link("recipient", recipient, len(sent), failing, delays) | more)
    return shown


def _link(kind: str, id_: str, done: int, bad: int, delays: Iterable[float]) -> Json:
    found = list(delays)
    return {
        "kind": kind,
        "id": id_,
        "per_minute": round(done / (WINDOW.total_seconds() / 60), 3),
        "delay": {"median": median(found) if found else None, "longest": max(found, default=None)},
        "failure_rate": round(bad / (done + bad), 4) if done + bad else None,
        "tries": done + bad,
    }


def _alerts(threshold: float, shut: Took, disposed: Took, queue: Json, links: Sequence[Json]) -> list[Json]:
    times_: list[tuple[str, str | None, float | None]] = [
        ("shut_slow", None, shut.longest),
        ("shut_open", None, shut.open_longest),
        ("disposition_slow", None, disposed.longest),
        ("disposition_open", None, disposed.open_longest),
        ("job_old", None, queue["oldest"]),
    ]
    times_ += [("link_slow", one["id"], one["delay"]["median"]) for one in links]
    times_ += [("link_waiting", one["id"], one.get("oldest")) for one in links]
    alerts = [
        {"code": code, "link": link, "value": value, "threshold": threshold}
        for code, link, value in times_
        if value is not None and value > threshold
    ]
    failing = [one for one in links if one["tries"] >= LEAST and (one["failure_rate"] or 0) > FAILING]
    return alerts + [
        {"code": "link_failing", "link": one["id"], "value": one["failure_rate"], "threshold": FAILING}
        for one in failing
    ]
