from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ucam_faas import testing

from .main import Price, import_prices, parse_prices

LIST = b"sku,pence\r\nA1,250\r\nB2,1999\r\n"


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "prices.sqlite3"
    monkeypatch.setenv("PRICES_DATABASE", str(path))
    return path


def stored(database: Path) -> dict[str, int]:
    with closing(sqlite3.connect(database)) as connection:
        return dict(connection.execute("SELECT sku, pence FROM prices"))


def test_prices_are_imported(database: Path) -> None:
    assert import_prices([Price("A1", 250), Price("B2", 1999)]) == {"imported": 2}

    assert stored(database) == {"A1": 250, "B2": 1999}


def test_a_second_delivery_changes_nothing(database: Path) -> None:
    import_prices([Price("A1", 250)])
    import_prices([Price("A1", 250)])

    assert stored(database) == {"A1": 250}


def test_a_new_price_replaces_the_old_one(database: Path) -> None:
    import_prices([Price("A1", 250)])
    import_prices([Price("A1", 300)])

    assert stored(database) == {"A1": 300}


def test_a_file_from_a_spreadsheet_is_read() -> None:
    with_byte_order_mark = b"\xef\xbb\xbf" + b'sku,name,pence\r\n"A1","Tea, black",250\r\n'

    assert parse_prices(with_byte_order_mark) == [Price("A1", 250)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"sku,pence\n",
        b"sku\nA1\n",
        b"sku,pence\nA1\n",
        b"sku,pence\nA1,cheap\n",
        b"sku,pence\n,250\n",
        b"sku,pence\nA1,-1\n",
        b"\xff\xfe",
    ],
    ids=repr,
)
def test_what_is_no_price_list_is_refused(
    data: bytes, database: Path, ucam_faas_client: Callable[..., testing.Client]
) -> None:
    client = ucam_faas_client(import_prices)

    response = client.push("import_prices", data)

    assert response.status == 400
    assert not database.exists()


def test_a_run_reports_how_many(database: Path) -> None:
    assert testing.run(import_prices, LIST).result == {"imported": 2}


def test_a_push_is_imported(
    database: Path, ucam_faas_client: Callable[..., testing.Client]
) -> None:
    client = ucam_faas_client(import_prices)

    response = client.push("import_prices", LIST)

    assert response.status == 200
    assert stored(database) == {"A1": 250, "B2": 1999}
