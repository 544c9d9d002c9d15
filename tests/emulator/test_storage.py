"""Both storages keep the contract, and SQLite's keeps committed data, whatever happens."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ucam_faas.emulator.core.storage import Progress, Storage
from ucam_faas.emulator.core.storage.memory import MemoryStorage
from ucam_faas.emulator.core.storage.sqlite import SqliteStorage
from ucam_faas.emulator.emulator import STATE_FILE, reset as reset_state
from ucam_faas.exceptions import ConfigurationError

from .storage_contract import LOG, QUEUE, Reopen, StorageContract, message, numbers


class TestMemoryStorage(StorageContract):
    @pytest.fixture
    def storage(self) -> Storage:
        return MemoryStorage()

    @pytest.fixture
    def reopen(self) -> Reopen:
        return lambda storage: storage


class TestSqliteStorage(StorageContract):
    @pytest.fixture
    def storage(self, opened: Callable[[], SqliteStorage]) -> Storage:
        return opened()

    @pytest.fixture
    def reopen(self, opened: Callable[[], SqliteStorage]) -> Reopen:
        def close_and_open(storage: Storage) -> Storage:
            storage.close()
            return opened()

        return close_and_open


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "state.sqlite3"


@pytest.fixture
def opened(file: Path) -> Iterator[Callable[[], SqliteStorage]]:
    """Open the file; it is closed in the end."""
    made: list[SqliteStorage] = []

    def make() -> SqliteStorage:
        made.append(SqliteStorage(file))
        return made[-1]

    yield make
    for storage in made:
        storage._db.close()


def crashed(file: Path, to: Path) -> SqliteStorage:
    """Open the files as they are now, as a killed process would leave them."""
    to.mkdir()
    for path in file.parent.iterdir():
        shutil.copy(path, to)
    return SqliteStorage(to / file.name)


def test_what_was_not_committed_does_not_survive_a_crash(
    opened: Callable[[], SqliteStorage], file: Path, tmp_path: Path
) -> None:
    storage = opened()
    storage.append(LOG, [message(1)])
    storage.put("topics", "a", b"1")
    storage.advance(QUEUE, 1, [3], {2: 1})
    storage.commit()
    storage.append(LOG, [message(2)])
    storage.put("topics", "b", b"1")
    storage.advance(QUEUE, 2, [4], {})

    with closing(crashed(file, tmp_path / "copy")) as storage:
        assert numbers(storage) == [1]
        assert storage.last_number() == 1
        assert storage.resources("topics") == {"a": b"1"}
        assert storage.progress(QUEUE) == Progress(1, {3}, {2: 1})


def test_closing_commits(opened: Callable[[], SqliteStorage]) -> None:
    storage = opened()
    storage.append(LOG, [message(1)])

    storage.close()

    assert numbers(opened()) == [1]


def test_only_one_emulator_can_use_a_file(
    opened: Callable[[], SqliteStorage], file: Path, tmp_path: Path
) -> None:
    storage = opened()

    with pytest.raises(ConfigurationError, match=r"Another emulator uses it.*--memory"):
        SqliteStorage(file)

    storage.append(LOG, [message(1)])
    storage.commit()
    assert numbers(storage) == [1]
    storage.close()
    assert numbers(opened()) == [1]


@pytest.mark.slow
def test_a_file_of_a_killed_emulator_is_free(file: Path) -> None:
    script = (
        "import sys, pathlib, time\n"
        "from ucam_faas.emulator.core.storage.sqlite import SqliteStorage\n"
        "storage = SqliteStorage(pathlib.Path(sys.argv[1])); storage.put('topics', 'a', b'1')\n"
        "storage.commit(); print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(file)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        with pytest.raises(ConfigurationError, match="Another emulator"):
            SqliteStorage(file)
        process.send_signal(signal.SIGKILL)

    with closing(SqliteStorage(file)) as storage:
        assert storage.resources("topics") == {"a": b"1"}


def test_a_file_that_is_no_database_is_refused_and_left_alone(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"my thesis " * 1000)

    with pytest.raises(ConfigurationError, match=r"not the state of an emulator.*--reset"):
        SqliteStorage(file)

    assert file.read_bytes() == b"my thesis " * 1000


def test_a_database_of_something_else_is_refused_and_left_alone(file: Path) -> None:
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE theses (title TEXT)")
        other.commit()
    before = file.read_bytes()

    with pytest.raises(ConfigurationError, match="not the state of an emulator"):
        SqliteStorage(file)

    assert file.read_bytes() == before


def test_a_file_of_another_version_is_refused(
    opened: Callable[[], SqliteStorage], file: Path
) -> None:
    opened().close()
    with closing(sqlite3.connect(file)) as newer:
        newer.execute("PRAGMA user_version = 99")

    with pytest.raises(ConfigurationError, match="version 99"):
        SqliteStorage(file)


def test_an_empty_file_is_a_new_state(file: Path) -> None:
    file.parent.mkdir()
    file.touch()

    with closing(SqliteStorage(file)) as storage:
        assert storage.last_number() == 0


@contextmanager
def forbidden(folder: Path) -> Iterator[None]:
    folder.chmod(0o500)
    try:
        yield
    finally:
        folder.chmod(0o700)


def test_a_folder_in_the_place_of_the_file_is_refused(file: Path) -> None:
    file.mkdir(parents=True)

    with pytest.raises(ConfigurationError, match="cannot be used"):
        SqliteStorage(file)


def test_a_file_in_the_place_of_the_folder_is_refused(file: Path) -> None:
    file.parent.touch()

    with pytest.raises(ConfigurationError, match="cannot be used"):
        SqliteStorage(file)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused(file: Path) -> None:
    file.parent.mkdir()

    with forbidden(file.parent), pytest.raises(ConfigurationError, match="cannot be used"):
        SqliteStorage(file)


def test_a_read_only_file_says_so(opened: Callable[[], SqliteStorage], file: Path) -> None:
    """SQLite takes a file for read-only that a newer version of its format was written in."""
    opened().close()
    content = bytearray(file.read_bytes())
    content[18] = 9
    file.write_bytes(content)

    with pytest.raises(ConfigurationError, match=r"read-only: make both writable") as error:
        SqliteStorage(file)

    assert "Another emulator" not in str(error.value)


@pytest.mark.parametrize("before", [None, 0o644])
def test_a_state_is_its_owners_alone(
    opened: Callable[[], SqliteStorage], file: Path, before: int | None
) -> None:
    """Messages may be personal data."""
    if before is not None:
        file.parent.mkdir()
        file.touch(mode=before)
    storage = opened()
    storage.append(LOG, [message(1)])
    storage.commit()

    assert {path.stat().st_mode & 0o777 for path in file.parent.iterdir()} == {0o600}
    if before is None:
        assert file.parent.stat().st_mode & 0o777 == 0o700


def test_a_full_disk_loses_nothing_that_was_committed_and_ends(
    opened: Callable[[], SqliteStorage],
) -> None:
    """SQLite gives a transaction up then; that is told once, and the next one is another one."""
    storage = opened()
    storage.append(LOG, [message(1)])
    storage.commit()
    storage._db.execute("PRAGMA max_page_count = 30")
    big = [message(number)._replace(data=bytes(20_000)) for number in range(2, 30)]
    with pytest.raises(sqlite3.OperationalError, match="full"):
        storage.append(LOG, big)
    with pytest.raises(sqlite3.OperationalError, match="lost"):
        storage.commit()

    assert numbers(storage) == [1]
    assert storage.last_number() == 1
    storage.append(LOG, [message(2)])
    storage.commit()
    storage.close()
    assert numbers(opened()) == [1, 2]


def test_the_state_of_a_running_emulator_is_not_reset(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / STATE_FILE)
    storage.append(LOG, [message(1)])
    storage.commit()

    with pytest.raises(ConfigurationError, match="Another emulator uses it"):
        reset_state(tmp_path)

    storage.close()
    with closing(SqliteStorage(tmp_path / STATE_FILE)) as storage:
        assert numbers(storage) == [1]


@pytest.mark.parametrize("content", [None, b"", b"no database" * 100])
def test_any_other_state_is_reset(tmp_path: Path, content: bytes | None) -> None:
    if content is None:
        SqliteStorage(tmp_path / STATE_FILE).close()
    else:
        (tmp_path / STATE_FILE).write_bytes(content)

    reset_state(tmp_path)

    assert not list(tmp_path.iterdir())
