from __future__ import annotations

import os
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import ucam_faas

from .main import export_prices

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with closing(sqlite3.connect(tmp_path / "prices.sqlite3")) as connection, connection:
        connection.execute("CREATE TABLE prices (sku TEXT PRIMARY KEY, pence INTEGER NOT NULL)")
        connection.executemany("INSERT INTO prices VALUES (?, ?)", [("B2", 1999), ("A1", 250)])
    monkeypatch.setenv("PRICES_DATABASE", str(tmp_path / "prices.sqlite3"))
    monkeypatch.setenv("PRICES_EXPORT", str(tmp_path / "prices.csv"))
    return tmp_path / "prices.csv"


def test_all_prices_are_exported_in_order(target: Path) -> None:
    export_prices()

    assert target.read_text() == "sku,pence\nA1,250\nB2,1999\n"


def test_a_second_start_replaces_the_file(target: Path) -> None:
    target.write_text("old")

    export_prices()

    assert target.read_text().startswith("sku,pence\n")


def test_a_failed_run_leaves_the_last_export(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target.write_text("old")
    monkeypatch.setenv("PRICES_DATABASE", str(target.parent / "nowhere.sqlite3"))

    with pytest.raises(ucam_faas.UCAMFAASException, match="names no file"):
        export_prices()

    assert target.read_text() == "old"


@pytest.mark.parametrize("variable", ["PRICES_DATABASE", "PRICES_EXPORT"])
def test_a_missing_variable_is_named(
    target: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv(variable)

    with pytest.raises(ucam_faas.UCAMFAASException, match=f"set {variable} to the path"):
        export_prices()


@pytest.mark.slow
def test_the_readme_s_commands_run_it_as_cloud_run_does(tmp_path: Path) -> None:
    readme = (Path(__file__).parent / "README.md").read_text()
    commands = readme.partition("```sh\n")[2].partition("```")[0]
    commands = commands.replace("/tmp/", f"{shlex.quote(str(tmp_path))}/")

    done = subprocess.run(
        ["bash", "-ec", commands],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("sku,pence\nA1,250\nB2,1999\n")
