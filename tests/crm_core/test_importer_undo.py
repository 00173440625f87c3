"""An import that was killed, or was a mistake, is taken back whole, and nothing that changed since is lost."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from crm_core import origin, records, writer
from crm_core.imports import importer
from crm_core.imports import run as import_run
from crm_core.imports import undo as import_undo
from crm_core.imports import worker as import_worker
from crm_core.imports.importer import Plan
from protocol.errors import EvidenceError

EMAIL, CITY = "contact.email", "address.city"
TABLES = ("record", "origin", "standing", "allowance")
HEAD = "First Name,Email,City\n"
PEOPLE = HEAD + "".join(f"N{n},n{n}@x.example,Leeds\n" for n in range(600)) + "Wei,wei@x.example,北京\n"


def bring(stage, text, **plan):
    return importer.run(
        stage.platform,
        stage.catalogue,
        text.encode(),
        source="test",
        importer=stage.platform.controller,
        plan=Plan(**plan),
    )


def rows_in(stage, *tables):
    with stage.platform.database.read() as session:
        connection = session.connection()
        return {name: connection.execute(SQLModel.metadata.tables[name].select()).all() for name in tables}


def values(stage):
    with stage.platform.database.read() as session:
        found = [
            records.open_fields(stage.platform, one, tuple(stage.catalogue.fields)) for one in records.every(session)
        ]
    return {one[EMAIL]: one for one in found if EMAIL in one}


def subject_of(stage, address):
    for subject, found in writer.holders(stage.platform, (EMAIL,)):
        if found.get(EMAIL) == address:
            return subject
    raise AssertionError


def undo(stage, run):
    with import_undo.alone(stage.platform):
        return import_undo.undo(stage.platform, run)


@pytest.fixture
def killed(stage, tmp_path):
    """A customer, and an import of 601 others and a correction that was killed when 500 of them were written."""
    bring(stage, HEAD + "Wei,wei@x.example,上海\n")
    before = rows_in(stage, *TABLES)
    file = tmp_path / "people.csv"
    file.write_text(PEOPLE, encoding="utf-8")
    script = Path(__file__).with_name("import_killed.py")
    home = stage.platform.settings.home
    process = subprocess.Popen(
        [sys.executable, str(script), str(home), str(file), "500"],
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
        },
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    yield before, process
    if process.poll() is None:
        process.kill()
    process.wait()
    process.stdout.close()


def test_what_a_killed_import_left_is_taken_back_by_the_next_pass(stage, killed):
    before, process = killed
    assert import_worker.step(stage.platform) == 0  # it lives: nobody takes its work away
    process.send_signal(signal.SIGKILL)
    process.wait()
    half = rows_in(stage, *TABLES)  # the control: without the next pass half of it would stay
    assert len(half["record"]) == 500
    assert values(stage)["wei@x.example"][CITY] == "北京"
    assert import_worker.step(stage.platform) == 1
    after = rows_in(stage, *TABLES)
    for table in ("origin", "standing", "allowance"):
        assert after[table] == before[table]
    assert [row.subject for row in after["record"]] == [row.subject for row in before["record"]]
    assert values(stage) == {"wei@x.example": {"contact.given_name": "Wei", EMAIL: "wei@x.example", CITY: "上海"}}
    assert rows_in(stage, "import_merge")["import_merge"] == []
    assert {row.state for row in rows_in(stage, "import_run")["import_run"]} == {"done", "undone"}
    told = [(subject, data) for event in stage.events("import.undone") for subject, data in event.records]
    assert len([subject for subject, _ in told if subject]) == 500
    assert told[-1][1] == {"run": told[-1][1]["run"], "removed": 499, "restored": 1, "kept": 0}
    by_run = {subject: data for subject, data in told if subject}
    wei = by_run.pop(subject_of(stage, "wei@x.example"))
    assert (wei["fields"], wei["gone"]) == ([CITY], [])
    assert all(data["gone"] == [CITY, EMAIL, "contact.given_name"] for data in by_run.values())
    assert not any(value in str(told) for value in ("'Wei'", "wei@", "北京", "上海"))  # `wei` alone may be in an id
    assert import_worker.step(stage.platform) == 0
    assert bring(stage, PEOPLE).created == 600


def test_the_next_import_takes_back_what_a_killed_one_left(stage, killed):
    _, process = killed
    with pytest.raises(EvidenceError) as caught:
        bring(stage, HEAD)
    assert caught.value.code == "import_running"
    process.kill()
    process.wait()
    report = bring(stage, HEAD + "Ann,ann@x.example,Leeds\n")
    assert report.created == 1
    assert sorted(values(stage)) == ["ann@x.example", "wei@x.example"]


def test_an_undoing_that_is_killed_goes_on_where_it_was(stage, killed, monkeypatch):
    _, process = killed
    process.kill()
    process.wait()
    whole = import_undo._batch

    def once(*args):
        monkeypatch.setattr(import_undo, "_batch", unplugged)
        return whole(*args)

    def unplugged(*_args):
        raise OSError("unplugged")

    monkeypatch.setattr(import_undo, "_batch", once)
    with pytest.raises(OSError, match="unplugged"):
        import_worker.step(stage.platform)
    assert 1 < len(rows_in(stage, "record")["record"]) < 500
    monkeypatch.setattr(import_undo, "_batch", whole)
    assert import_worker.step(stage.platform) == 1
    assert list(values(stage)) == ["wei@x.example"]


def test_a_finished_import_is_undone_but_not_what_changed_since(stage):
    bring(stage, HEAD + "Wei,wei@x.example,上海\nAnn,ann@x.example,Leeds\n")
    text = HEAD + "Wei,wei@x.example,北京\nAnn,ann@x.example,Bath\n"
    report = bring(stage, text + "New,new@x.example,Rome\nLin,lin@x.example,Rome\nInv,inv@x.example,Rome\n")
    stage.put(subject_of(stage, "ann@x.example"), address__city="York")  # by hand, since
    stage.put(subject_of(stage, "lin@x.example"), address__city="Pisa")
    stage.grant(subject_of(stage, "inv@x.example"), EMAIL)
    undone = undo(stage, report.run)
    assert (undone.removed, undone.restored, undone.kept) == (1, 1, 3)
    found = values(stage)
    assert {address: one[CITY] for address, one in found.items()} == {
        "wei@x.example": "上海", "ann@x.example": "York", "lin@x.example": "Pisa", "inv@x.example": "Rome",
    }  # fmt: skip
    with pytest.raises(EvidenceError) as caught:
        undo(stage, report.run)
    assert caught.value.code == "not_undoable"


def test_a_field_that_an_undone_import_brought_can_be_brought_again(stage):
    bring(stage, HEAD + "Wei,wei@x.example,\n")
    later = HEAD + "Wei,wei@x.example,北京\n"
    undo(stage, bring(stage, later).run)
    assert CITY not in values(stage)["wei@x.example"]
    with stage.platform.database.read() as session:
        assert CITY not in origin.collected_fields(session, subject_of(stage, "wei@x.example"))
    assert bring(stage, later).updated == 1
    assert values(stage)["wei@x.example"][CITY] == "北京"


def test_what_was_sealed_anew_since_is_not_put_back(stage):
    bring(stage, HEAD + "Wei,wei@x.example,上海\n")
    report = bring(stage, HEAD + "Wei,wei@x.example,北京\n")
    subject = subject_of(stage, "wei@x.example")
    with stage.platform.database.write("owner") as session:
        records.reseal(session, stage.platform, subject, frozenset({EMAIL}))
    undone = undo(stage, report.run)
    assert (undone.restored, undone.kept) == (0, 1)
    assert values(stage) == {"wei@x.example": {EMAIL: "wei@x.example"}}


def test_after_a_week_what_undoes_an_import_is_gone(stage):
    report = bring(stage, HEAD + "Wei,wei@x.example,上海\n")
    stage.clock.advance(import_run.KEPT)
    bring(stage, HEAD + "Ann,ann@x.example,\n")
    assert {row.run for row in rows_in(stage, "import_undo")["import_undo"]} != {report.run}
    with pytest.raises(EvidenceError) as caught:
        undo(stage, report.run)
    assert caught.value.code == "not_undoable"


def test_after_a_week_it_is_gone_without_another_import_too(stage):
    report = bring(stage, HEAD + "Wei,wei@x.example,上海\n")
    stage.clock.advance(import_run.KEPT)
    with pytest.raises(EvidenceError) as caught:
        undo(stage, report.run)  # not even where its boxes were put back
    assert caught.value.code == "not_undoable"
    import_worker.step(stage.platform)
    assert rows_in(stage, "import_undo")["import_undo"] == []


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("UPDATE import_run SET state = 'running'", None),
        ("UPDATE import_undo SET box = (SELECT box FROM import_undo ORDER BY run LIMIT 1)", "bad_undo"),
    ],
)
def test_the_database_alone_cannot_have_anything_undone(stage, statement, code):
    runs = [bring(stage, HEAD + f"N,{name}@x.example,\n").run for name in ("a", "b")]
    with stage.platform.database.write("owner") as session:
        session.connection().exec_driver_sql(statement)
    assert import_worker.step(stage.platform) == 0
    found = set()
    for run in runs:
        try:
            undo(stage, run)
        except EvidenceError as error:
            found.add(error.code)
    assert found == {code or "bad_run"}
    assert len(values(stage)) >= 1
    with pytest.raises(EvidenceError) as caught:
        undo(stage, "imp_none")
    assert caught.value.code == "unknown_run"


def test_nothing_in_clear_rests_in_what_undoes_an_import(stage):
    bring(stage, HEAD + "Wei,wei@x.example,Ulaanbaatar\n")
    bring(stage, HEAD + "Wei,wei@x.example,Vladivostok\n")
    stage.platform.database.dispose()
    for path in stage.platform.settings.data_dir.rglob("*"):
        if path.is_file():
            kept = path.read_bytes()
            assert not [word for word in (b"Ulaanbaatar", b"Vladivostok", b"wei@x") if word in kept], path
