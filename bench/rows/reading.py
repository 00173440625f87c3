"""Reads over HTTP by 32 clients, against the same without gate and record, and against clear columns."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from bench import engine, load, result, scene, serve
from bench.load import Server
from bench.result import Result
from bench.size import Size
from bench.timing import of_rounds

CLIENTS = 32
CUSTOMERS = 2_000
_KINDS = ("ours", "unrecorded", "open", "tutorial", "handwritten")


class _Goals(NamedTuple):
    open: float
    unrecorded: float | None
    tutorial: float
    handwritten: float


_PAGE = _Goals(1.25, 1.10, 3.0, 0.5)
_POINT = _Goals(1.40, None, 1.5, 0.5)


def measure(size: Size) -> Iterator[Result]:
    """A page of 50 customers by 10 fields; one customer."""
    home = size.place(CUSTOMERS)
    with scene.opened(home, CUSTOMERS) as made:
        serve.fill_clear(made, home)
        token = made.token()
        subjects = made.subjects[:CLIENTS]
    with ExitStack() as stack:
        servers = {kind: stack.enter_context(load.served(kind, home)) for kind in _KINDS}
        pages = [load.request(serve.paths(subject)[0], token) for subject in subjects]
        points = [load.request(serve.paths(subject)[1], token) for subject in subjects]
        yield from _rows(f"list page 50 x 10, {CLIENTS} clients", servers, pages, _PAGE, size.rounds, size.requests)
        yield from _rows(f"point read, {CLIENTS} clients", servers, points, _POINT, size.rounds, 3 * size.requests)


def _rows(  # noqa: PLR0917 - called twice, just above
    name: str, servers: dict[str, Server], requests: Sequence[bytes], goals: _Goals, rounds: int, count: int
) -> Iterator[Result]:
    cpu: dict[str, Callable[[], float]] = {kind: _cpu(server, requests, count) for kind, server in servers.items()}
    wall: dict[str, Callable[[], float]] = {kind: _wall(server, requests, count) for kind, server in servers.items()}
    found: dict[str, list[tuple[float, float, float]]] = {}
    for number in range(rounds + 1):
        for row, kind, ours, by in (
            ("open", "open", "ours", cpu), ("unrecorded", "open", "unrecorded", cpu),
            ("tutorial", "tutorial", "ours", wall), ("handwritten", "handwritten", "ours", wall),
        ):  # fmt: skip
            turn = (by[ours](), by[kind](), by[ours]())
            if number:  # the first warms up
                found.setdefault(row, []).append(turn)
    peak = servers["ours"].peak()
    yield result.costs(
        f"{name}: CPU per request, gate and record on against off", of_rounds(found["open"]), goals.open,
        note=f"server's peak {peak} MiB",
    )  # fmt: skip
    if goals.unrecorded is not None:
        yield result.costs(
            f"{name}: CPU per request, gate on (no record) against off",
            of_rounds(found["unrecorded"]),
            goals.unrecorded,
        )
    for kind, said, goal in (
        ("tutorial", "SQLModel with a response model, clear, no gate", goals.tutorial),
        ("handwritten", "text() and orjson, clear, no gate", goals.handwritten),
    ):
        compared = of_rounds(found[kind])
        yield result.of(
            f"{name}: throughput against {said}", 1 / compared.ours, 1 / compared.reference, goal, "at least",
            "requests/s", control=round(compared.control, 3),
        )  # fmt: skip


def _cpu(server: Server, requests: Sequence[bytes], count: int) -> Callable[[], float]:
    def burst() -> float:
        before = server.cpu() + engine.cpu()
        load.ask(server.port, requests, count)
        return (server.cpu() + engine.cpu() - before) / count

    return burst


def _wall(server: Server, requests: Sequence[bytes], count: int) -> Callable[[], float]:
    return lambda: load.ask(server.port, requests, count) / count
