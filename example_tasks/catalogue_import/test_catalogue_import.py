from __future__ import annotations

import pytest

import ucam_faas
from ucam_faas import State, testing

from . import main
from .main import Product, change_price, import_catalogue, report_import, store_product
from .shop import Shop

CATALOGUE = [Product(code=f"tea-{number}", pence=number) for number in range(1, 51)]


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    """An empty shop."""
    shop = Shop()
    monkeypatch.setattr(main, "shop", shop)
    return shop


def test_an_import_and_all_that_it_sends_are_in_the_lane_bulk(
    shop: Shop, ucam_faas_jobs: testing.JobsFactory
) -> None:
    jobs = ucam_faas_jobs(import_catalogue, store_product, report_import)

    import_catalogue.send(CATALOGUE, lane="bulk")
    jobs.run_all()

    assert len(shop.prices) == 50
    assert {row.lane for row in jobs.store.find("default")} == {"bulk"}


def test_the_end_of_an_import_is_reported_with_its_errors(
    shop: Shop, ucam_faas_jobs: testing.JobsFactory
) -> None:
    jobs = ucam_faas_jobs(import_catalogue, store_product, report_import)

    job = import_catalogue.send([*CATALOGUE, Product(code="coffee", pence=1)], lane="bulk")
    jobs.run_all()
    report = ucam_faas.get_job(report_import, job.result())

    assert report.result() == "50 of 51 products are on sale.\ncoffee isn't tea."


def test_a_price_is_changed_while_an_import_is_paused(
    shop: Shop, ucam_faas_jobs: testing.JobsFactory
) -> None:
    jobs = ucam_faas_jobs(import_catalogue, store_product, report_import, inline=True)
    jobs.store.pause_lane("default", "store_product", "bulk")
    job = import_catalogue.send(CATALOGUE, lane="bulk")

    change_price("tea-1", 999)

    assert job.status is State.SUCCESS
    assert shop.prices == {"tea-1": 999}
