"""Nothing in clear rests anywhere under the home directory: not in the database, its WAL, the journal or the keys."""

import base64
import json

import pytest

from crm_core.imports import importer
from fieldgrant.demo.residue import search
from tests.engine import hand, mapping

MARKERS = ["qz.marker.email@example.com", "Zyxwv-Marker-Name", "夔龘标记城市", "+86100998877661"]
ROWS = (
    "First Name,Email,City,Phone Number\n"
    f"{MARKERS[1]},{MARKERS[0].upper()},{MARKERS[2]},{MARKERS[3]}\n"
    f"{MARKERS[1]},broken {MARKERS[0]},{MARKERS[2]},{MARKERS[3]}\n"
)


def residue(home):
    """Marker → files that hold it in some form."""
    found = {}
    for place in [home, *hand.resting(home / "data" / "db" / "fieldgrant.db")]:
        for hit in search(place, MARKERS):
            names = found.setdefault(MARKERS[hit.value], [])
            if hit.path.name not in names:
                names.append(hit.path.name)
    return found


def use(stage):
    """Import, correct, read, filter, sort and page: everything that touches values."""
    importer.run(stage.platform, stage.catalogue, ROWS.encode(), source="test", importer=stage.platform.controller)
    subject = stage.page(stage.visit("marketing", "administration"), limit=1).items[0].subject
    stage.put(subject, address__city=MARKERS[2] + "郊")
    stage.grant(subject, "contact.email", "address.city", "contact.phone")
    page = stage.page(filter_=f"address.city:prefix:{MARKERS[2]}", sort="-contact.email", limit=1)
    assert page.items[0].fields["contact.email"] == MARKERS[0]


def test_after_import_and_reading_no_value_lies_in_clear(stage):
    home = stage.platform.settings.home
    use(stage)
    assert mapping.on() or (home / "data" / "db" / "fieldgrant.db-wal").exists()
    assert residue(home) == {}
    stage.platform.database.dispose()
    assert residue(home) == {}


@pytest.mark.parametrize(
    "encode",
    [
        lambda marker: marker.encode(),
        lambda marker: b"x" + marker.encode("utf-16-le"),
        lambda marker: marker.encode("utf-16-be"),
        lambda marker: marker.encode("gb18030"),
        lambda marker: json.dumps({"a": marker}).encode(),
        lambda marker: base64.b64encode(marker.encode()),
        lambda marker: base64.b64encode(b"a" + marker.encode() + b"tail"),
        lambda marker: base64.b64encode(b"ab" + marker.encode("gb18030") + b"t"),
    ],
)
def test_the_search_finds_what_was_planted(stage, encode):
    """The control: the same search, with one value left in clear."""
    use(stage)
    for marker in MARKERS:
        planted = stage.platform.settings.data_dir / "planted.bin"
        planted.write_bytes(b"\x07noise" + encode(marker) + b"noise\x07")
        assert residue(stage.platform.settings.home) == {marker: ["planted.bin"]}


def test_a_value_in_a_column_would_be_found(stage):
    """Another control: the search sees into the database and its WAL."""
    with stage.platform.database.write("owner") as session:
        session.connection().exec_driver_sql("CREATE TABLE leak (value TEXT)")
        hand.execute(session, "INSERT INTO leak VALUES (?)", MARKERS[0])
    assert MARKERS[0] in residue(stage.platform.settings.home)
