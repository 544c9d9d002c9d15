"""Imports a catalogue in a lane of its own, so that single products don't wait for it."""

from __future__ import annotations

from pydantic import BaseModel, Field

import ucam_faas
from ucam_faas import Lane

from .shop import Shop

shop = Shop()


class Product(BaseModel):
    """A product and its price."""

    code: str = Field(min_length=1, examples=["tea-250"])
    pence: int = Field(gt=0, examples=[349])


@ucam_faas.message_handler(lanes=["bulk"])
def report_import(batch: ucam_faas.BatchEnded) -> str:
    """Report the end of an import, with the errors of the products that weren't put on sale."""
    progress = batch.progress()
    errors = {each.error_message for each in batch.outcomes() if each.error_message}
    lines = [f"{progress.succeeded} of {progress.total} products are on sale.", *sorted(errors)]
    return "\n".join(lines)


@ucam_faas.message_handler(
    lanes=["default", Lane("bulk", max_concurrency=2)],
    sends=[report_import],  # the last product wakes it
)
def store_product(product: Product) -> str:
    """Put a product on sale."""
    try:
        shop.put(product.code, product.pence)
    except ValueError as error:
        raise ucam_faas.DeadLetter(str(error)) from error
    return product.code


@ucam_faas.message_handler(lanes=["bulk"], sends=[store_product, report_import])
def import_catalogue(products: list[Product]) -> str:
    """Put all products of a catalogue on sale, and return the id of the report's job."""
    # It runs in its lane `bulk`, and so the jobs that it sends are in `bulk`, too.
    return store_product.send_many(products, then=report_import).then.id


def change_price(code: str, pence: int, timeout_seconds: float = 30) -> None:
    """Change a price, and wait until it is on sale, however many imports run.

    Raises:
        TimeoutError: it isn't yet.
    """
    store_product.send(Product(code=code, pence=pence)).result(timeout=timeout_seconds)
