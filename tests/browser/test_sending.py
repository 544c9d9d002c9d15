"""A person sends to a task from its form."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from .chromium import Visitor

pytestmark = pytest.mark.slow


def test_send_a_nested_form(visitor: Visitor) -> None:
    visitor.expects_refusals = True
    page = visitor.open("/tasks/ship_order/send")

    def field(name: str, number: int = 0) -> Locator:
        return page.get_by_role("textbox", name=name, exact=True).nth(number)

    field("id required").fill("18")
    field("customer required").fill("Grace Hopper")
    field("street required").fill("1 Rue de Seine")
    field("city required").fill("Paris")
    field("postcode required").fill("75006")
    page.get_by_label("country").select_option(label="France")
    field("title required").fill("Emma")
    field("copies").fill("0")
    page.get_by_role("button", name="Add to lines").click()
    field("title required", 1).fill("Persuasion")
    page.get_by_role("button", name="Send as a job").click()

    # It was refused, with the reason at the field; the others are as they were.
    expect(field("copies")).to_have_attribute("aria-invalid", "true")
    expect(field("copies")).to_have_accessible_description(
        "Input should be greater than or equal to 1"
    )
    expect(field("title required", 1)).to_have_value("Persuasion")

    field("copies").fill("2")
    page.get_by_role("button", name="Send as a job").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("Job")
    expect(page.get_by_text("success").first).to_be_visible()
    payload = page.get_by_role("group", name="Payload")
    expect(payload).to_contain_text('"country": "France"')
    expect(payload).to_contain_text('"title": "Persuasion"')
    expect(page.get_by_role("group", name="Result")).to_contain_text("order 18 to Rue de Seine")
