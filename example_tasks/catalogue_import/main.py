"""A catalogue is imported in one lane, while single products are changed in another."""

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


@ucam_faas.message_handler(lanes=["default", Lane("bulk", max_concurrency=2)])
def store_product(product: Product) -> str:
    """Put a product on sale."""
    shop.put(product.code, product.pence)
    return product.code


@ucam_faas.message_handler(lanes=["bulk"], sends=[store_product])
def import_catalogue(products: list[Product]) -> list[str]:
    """Put all products of a catalogue on sale."""
    # It runs in its lane `bulk`, and so the jobs that it sends are in `bulk`, too.
    return [job.id for job in store_product.send_many(products)]


def change_price(code: str, pence: int, timeout_seconds: float = 30) -> None:
    """Change a price, and wait until it is on sale, however many imports run.

    Raises:
        TimeoutError: it isn't yet.
    """
    store_product.send(Product(code=code, pence=pence)).result(timeout=timeout_seconds)
