"""A filter and an order over everybody, first page, against plain SQL on clear, indexed columns."""

from collections.abc import Iterator

from sqlalchemy import create_engine, text

from bench import result, scene, serve
from bench.result import Result
from bench.scene import FIELDS, PURPOSE
from bench.size import Size
from bench.timing import compare
from crm_core.reading import asking
from crm_core.reading.planner import Planner

_FILTER, _SORT = "address.city:eq:Leeds", "contact.family_name"


def measure(size: Size) -> Iterator[Result]:
    """One in ten passes the filter; the page has 50."""
    home = size.place(size.many)
    with scene.opened(home, size.many) as made:
        serve.fill_clear(made, home)
        engine = create_engine(serve.clear_url(home))
        with engine.begin() as connection:
            for column in ("address_city", "contact_family_name"):
                connection.exec_driver_sql(f"CREATE INDEX IF NOT EXISTS by_{column} ON clear_customer ({column})")
        planner, reader = Planner(made.platform, made.gate), made.reader()
        asked = asking.parse(
            made.catalogue, select=",".join(FIELDS), filter_=_FILTER, sort=_SORT, limit=50, default=FIELDS
        )
        plain = text(
            "SELECT * FROM clear_customer WHERE address_city = 'Leeds' ORDER BY contact_family_name, subject LIMIT 50"
        )

        def ours() -> None:
            with planner.page(made.gate.visit(reader, PURPOSE), asked) as (_, page):
                if len(page.items) != 50:
                    raise AssertionError("the page is not full")

        def clear() -> None:
            with engine.connect() as connection:
                if len(connection.execute(plain).all()) != 50:
                    raise AssertionError("the page is not full")

        found = compare(ours, clear, reference_calls=20, rounds=min(size.rounds, 3))
        name = f"filter and sort over {size.many:,}, first page, against SQL on clear, indexed columns"
        yield result.costs(name, found, 10, note=f"peak {result.peak()} MiB")
        engine.dispose()
