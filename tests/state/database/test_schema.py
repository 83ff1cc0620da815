"""Whose a database is, and how an old one becomes today's."""

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import bedplate
from bedplate.core.errors import IntegrityError
from bedplate.core.events.event import Subject, SubjectKind
from bedplate.state.database import schema
from bedplate.state.database.location import StateLocation, read_location
from bedplate.state.database.tables import metadata
from bedplate.state.records import Status
from bedplate.state.store import StateStore
from tests.command_line import USES
from tests.state.samples import claim

OLD = Path(__file__).with_name("bedplate_0_1_0.sql")
"""What bedplate 0.1.0 (commit 84ddc2e) stored for the two pipelines below, made by running it."""
FINISHED = {"version": 1, "name": "finished", "steps": {"write": {"use": "test.write", "text": "b"}}}
FAILED = {
    "version": 1,
    "name": "before",
    "steps": {
        "write": {"use": "test.write", "text": "a", "times": 3},
        "gang": {"use": "test.gang", "size": 1, "after": ["write"]},
        "last": {"use": "test.fail", "after": ["gang"]},
    },
}


def make_old_state(folder: Path) -> StateLocation:
    folder.mkdir()
    connection = sqlite3.connect(folder / "state.db")
    connection.execute("PRAGMA journal_mode=wal")
    connection.executescript(OLD.read_text().replace("@FOLDER@", str(folder)))
    connection.close()
    for run, text in (("before-f1f4d745", "aaa"), ("finished-b2dd2717", "b")):
        step = folder / "runs" / run / "write"
        step.mkdir(parents=True)
        (step / "text.txt").write_text(text)
    return read_location(str(folder), lambda: folder)


def test_the_newest_revision_is_the_one_that_opening_expects() -> None:
    folder = Path(schema.__file__).with_name("migrations")
    assert ScriptDirectory(str(folder)).get_current_head() == schema.HEAD


@pytest.mark.filterwarnings("ignore:.*expression-based index")
def test_migrations_lead_to_the_tables_that_the_code_uses(state: StateStore) -> None:
    with state.database.engine.connect() as connection:
        options = {"version_table": schema.VERSION_TABLE, "compare_type": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


def test_a_state_of_the_first_version_keeps_its_runs(tmp_path: Path) -> None:
    state = StateStore.open(make_old_state(tmp_path / "old"))
    assert [(run.id, run.status) for run in state.runs.page(10)] == [
        ("finished-b2dd2717", Status.DONE),
        ("before-f1f4d745", Status.FAILED),
    ]
    steps = [(step.name, step.status) for step in state.steps.of_run("before-f1f4d745")]
    assert steps == [("write", Status.DONE), ("gang", Status.DONE), ("last", Status.FAILED)]
    assert [item.value for item in state.measurements.of_run("finished-b2dd2717")] == [1.0, 36486144.0]
    assert state.gangs.of_run("before-f1f4d745")[0].id == "gang-1"
    assert state.exclusions.of_run("finished-b2dd2717")[0].cores == (3,)
    step = Subject(kind=SubjectKind.STEP, id="finished-b2dd2717/write")
    kinds = [event.kind for event in state.events.after(subject=step)]
    assert kinds == ["step.started", "step.done", "preflight.slot_excluded"], "one spelling"
    assert len(state.events.after(run_id="before-f1f4d745")) == 8
    assert [item.value for item in state.metrics.of_subject(step, "train_loss")] == [2.5]
    assert claim(state).generation == 1
    state.close()


def test_finished_work_of_the_first_version_is_not_done_again(tmp_path: Path) -> None:
    make_old_state(tmp_path / "old")
    again = bedplate.run(FINISHED, state=str(tmp_path / "old"), uses=USES)
    assert (again.run_id, again.was_done_before) == ("finished-b2dd2717", True)
    resumed = bedplate.run(FAILED, state=str(tmp_path / "old"), uses=USES, check=False)
    assert resumed.run_id == "before-f1f4d745"
    assert not (resumed.directory / "write" / "runs.txt").exists(), "the finished step did not run again"


def test_two_processes_upgrade_an_old_state_once(tmp_path: Path) -> None:
    location = make_old_state(tmp_path / "old")
    code = (
        "import sys\nfrom pathlib import Path\nfrom bedplate.state.database.location import read_location\n"
        "from bedplate.state.store import StateStore\n"
        "state = StateStore.open(read_location(sys.argv[1], Path.home))\nprint(len(state.runs.page(9)))\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "old")], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [process.communicate(timeout=120)[0] for process in processes] == ["2\n"] * 3
    state = StateStore.open(location)
    assert len(state.events.after(run_id="finished-b2dd2717")) == 3
    state.close()


def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path) -> None:
    location = make_old_state(tmp_path / "old")
    connection = sqlite3.connect(location.file)
    connection.execute("CREATE INDEX runs_by_name ON runs (file)")  # collides with one that the upgrade makes
    connection.close()
    before = _dump(location.file)
    with pytest.raises(IntegrityError):
        StateStore.open(location)
    assert _dump(location.file) == before


def test_threads_that_open_a_new_state_make_it_once(location: StateLocation) -> None:
    errors: list[Exception] = []

    def open_and_claim() -> None:
        try:
            state = StateStore.open(location)
            claim(state)
            state.close()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=open_and_claim) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    state = StateStore.open(location)
    assert len(state.runs.page(10)) == 1
    state.close()


def test_a_newer_versions_state_is_refused(state: StateStore, location: StateLocation) -> None:
    with state.database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(IntegrityError, match="9999"):
        StateStore.open(location)


@pytest.mark.parametrize("edit", ["DELETE FROM bedplate_version", "INSERT INTO bedplate_version VALUES ('9999')"])
def test_a_state_without_one_version_is_damaged_not_newer(location: StateLocation, edit: str) -> None:
    state = StateStore.open(location)
    with state.database.writing() as connection:
        connection.exec_driver_sql(edit)
    state.close()
    for opening in (StateStore.open, StateStore.open_existing):
        with pytest.raises(IntegrityError, match="does not say its version") as raised:
            opening(location)
        assert "restore a copy" in str(raised.value.next_step)


def test_the_first_version_refuses_an_upgraded_state(state: StateStore) -> None:
    with state.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT version FROM schema").scalars().all() == [2], "it takes nothing but 1"


@pytest.mark.parametrize(
    "made_by",
    [
        "CREATE TABLE customers (name TEXT)",
        "CREATE TABLE runs (id TEXT)",
        "CREATE TABLE alembic_version (version_num TEXT)",
        "CREATE TABLE schema (version INTEGER)",
    ],
)
def test_a_database_of_somebody_else_is_refused_and_left_alone(location: StateLocation, made_by: str) -> None:
    url = location.url
    if location.is_sqlite:
        location.file.parent.mkdir()
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(made_by)
    names = sqlalchemy.inspect(engine).get_table_names()
    engine.dispose()
    before = location.file.read_bytes() if location.is_sqlite else b""
    for opening in (StateStore.open, StateStore.open_existing):
        with pytest.raises(IntegrityError, match="not bedplate's"):
            opening(location)
    engine = sqlalchemy.create_engine(url)
    assert sqlalchemy.inspect(engine).get_table_names() == names
    engine.dispose()
    if location.is_sqlite:
        assert location.file.read_bytes() == before
        assert [path.name for path in location.file.parent.iterdir()] == ["state.db"]


def test_another_applications_sqlite_file_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "state.db")
    connection.execute("PRAGMA application_id = 7")
    connection.close()
    with pytest.raises(IntegrityError, match="not bedplate's"):
        StateStore.open(read_location(str(tmp_path), Path.home))


def _dump(file: Path) -> str:
    connection = sqlite3.connect(file)
    text = "\n".join(connection.iterdump())
    connection.close()
    return text
