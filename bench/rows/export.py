"""An export of everybody, everything on, against the same bytes without gate and record, still sealed."""

from collections.abc import Iterator

from bench import result, scene
from bench.result import Result
from bench.scene import FIELDS, PURPOSE, Scene
from bench.size import Size
from bench.timing import compare
from crm_core import records
from crm_core.reading import export, exporting
from crm_core.reading.exporting import CHUNK, Order, Run
from crm_core.reading.planner import Planner
from crm_core.reading.query import EVERYBODY
from crm_core.reading.scan import NOBODY
from protocol.consent import SubjectId


def measure(size: Size) -> Iterator[Result]:
    """CSV with ten fields; processor time of the whole file."""
    with scene.opened(size.place(size.many), size.many) as made:
        order = exporting.order(made.catalogue, FIELDS, EVERYBODY, "csv")
        found = compare(lambda: _ours(made, order), lambda: _open(made, order), rounds=min(size.rounds, 3))
        name = f"export of {size.many:,} x 10, everything on, against no gate and no record"
        yield result.costs(name, found, 1.10, note=f"peak {result.peak()} MiB")


def _ours(made: Scene, order: Order) -> None:
    reader = made.reader()
    run = Run(Planner(made.platform, made.gate), order, lambda: made.gate.visit(reader, PURPOSE))
    run.begin(run.visit())
    after: SubjectId | None = NOBODY
    rows = 0
    while after is not None:
        passage, chunk = run.chunk(after)
        passage.release()
        rows, after = rows + chunk.rows, chunk.after
    run.end("complete")
    if rows != len(made.subjects):
        raise AssertionError(f"{rows} rows")


def _open(made: Scene, order: Order) -> None:
    form, rows, after = export.FORMS[order.format], 0, ""
    content = bytearray(form.head(FIELDS))
    while True:
        with made.platform.database.read() as session:
            found = records.page(session, after, CHUNK)
        for record in found:
            values, _ = records.open_readable(made.platform, record, FIELDS)
            content += form.row(record.subject, values, order.types)
        rows += len(found)
        if len(found) < CHUNK:
            break
        after = found[-1].subject
    if rows != len(made.subjects):
        raise AssertionError(f"{rows} rows")
