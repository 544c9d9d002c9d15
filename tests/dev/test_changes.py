"""Two looks at folders, and the changes between them."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import py_compile
import threading
from pathlib import Path

import pytest

from ucam_faas.dev.changes import Folders


def write(path: Path, text: str = "x = 1", *, at: int | None = None) -> str:
    """Write a file, at a time in epoch nanoseconds, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if at is not None:
        os.utime(path, ns=(at, at))
    return str(path)


@pytest.fixture
def main(tmp_path: Path) -> Path:
    return Path(write(tmp_path / "main.py", at=10**18))


def test_nothing_has_changed(main: Path) -> None:
    folders = Folders([str(main)])

    assert folders.look().changed_since(folders.look()) == set()


def test_files_that_are_new_others_or_gone_have_changed(main: Path) -> None:
    beside = Path(write(main.with_name("beside.py")))
    folders = Folders([str(main)])
    before = folders.look()

    write(main, at=10**18 + 1)
    beside.unlink()
    new = write(main.with_name("new.py"), at=1)

    assert folders.look().changed_since(before) == {str(main), str(beside), new}


def test_a_file_of_the_same_size_and_second_has_changed(main: Path) -> None:
    folders = Folders([str(main)])
    before = folders.look()

    write(main, "x = 2", at=10**18 + 1000)

    assert folders.look().changed_since(before) == {str(main)}


def test_a_folder_that_is_looked_at_from_now_on_is_no_change(main: Path) -> None:
    write(main.parent / "pack" / "old.py", at=10**18)
    folders = Folders([str(main)])
    before = folders.look()

    folders.add([str(main.parent / "pack")])
    new = write(main.parent / "pack" / "new.py")

    assert folders.look().changed_since(before) == {new}


@pytest.mark.parametrize("name", [".#main.py", ".hidden/x.py", "__pycache__/x.py", "main.txt"])
def test_other_files_are_not_looked_at(main: Path, name: str) -> None:
    folders = Folders([str(main.parent)])
    before = folders.look()

    write(main.parent / name)

    assert folders.look().changed_since(before) == set()


def test_a_link_to_nowhere_is_not_looked_at(main: Path) -> None:
    folders = Folders([str(main)])
    before = folders.look()

    main.with_name("link.py").symlink_to("nowhere")

    assert folders.look().changed_since(before) == set()


def test_a_folder_that_goes_away_takes_its_files_along(main: Path) -> None:
    path = write(main.parent / "pack" / "one.py")
    folders = Folders([str(main)])
    folders.add([str(Path(path).parent)])
    before = folders.look()

    os.unlink(path)
    Path(path).parent.rmdir()

    assert folders.look().changed_since(before) == {path}


def test_the_bytecode_of_what_changed_is_deleted(main: Path) -> None:
    folders = Folders([str(main)])
    before = folders.look()
    write(main, "x = 2", at=10**18 + 1)
    bytecode = Path(importlib.util.cache_from_source(str(main)))
    py_compile.compile(str(main), cfile=str(bytecode))

    _, changed = asyncio.run(folders.change(before))

    assert changed == {str(main)}
    assert not bytecode.exists()


@pytest.mark.slow
def test_a_change_is_waited_for(main: Path) -> None:
    folders = Folders([str(main.parent)])
    before = folders.look()

    async def change() -> set[str]:
        waiting = asyncio.ensure_future(folders.change(before))
        await asyncio.sleep(0)
        write(main.parent / "new" / "main.py")
        return (await asyncio.wait_for(waiting, 15))[1]

    assert asyncio.run(change()) == {str(main.parent / "new" / "main.py")}


@pytest.mark.slow
def test_waiting_can_be_given_up(main: Path) -> None:
    folders = Folders([str(main)])

    async def give_up() -> None:
        waiting = asyncio.ensure_future(folders.change(folders.look()))
        async with asyncio.timeout(15):
            while not any("AnyIO" in thread.name for thread in threading.enumerate()):
                await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.wait([waiting])
        assert waiting.cancelled()

    asyncio.run(give_up())
