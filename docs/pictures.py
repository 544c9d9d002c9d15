"""Take the pictures of docs/dashboard.md and docs/dead-letters.md, in Chromium (needs pngquant).

python docs/pictures.py            # all of them, into docs/pictures
python docs/pictures.py FOLDER     # into another folder

They show the bookshop of tests/browser. With Debian's fonts-noto-core they look as on a desktop.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Page  # noqa: E402

from tests.browser import chromium  # noqa: E402
from tests.browser.bookshop import Bookshop, open_bookshop  # noqa: E402
from tests.browser.chromium import Visitor  # noqa: E402
from tests.browser.orders import GOOD, WRONG, order  # noqa: E402
from tests.integration.processes import wait_until  # noqa: E402

FOLDER = ROOT / "docs/pictures"
COLOURS = "64"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture: its file, the page's path, and how it is looked at."""

    name: str
    path: str
    dark: bool = False
    narrow: bool = False
    height: int = 720


def main(arguments: Sequence[str]) -> None:
    """Fill the shop, and take all pictures."""
    folder = Path(arguments[0]) if arguments else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    program = chromium.find()
    if program is None:
        sys.exit("Chromium isn't installed: apt-get install chromium")
    with (
        tempfile.TemporaryDirectory(prefix="ucam-faas-") as home,
        open_bookshop(_folder(home)) as shop,
        chromium.running(program) as browser,
    ):
        visitor = Visitor(browser, shop.dashboard)
        for picture in pictures(shop, visitor):
            take(visitor, picture, folder)
        problems = visitor.leave()
    if problems:
        sys.exit("\n".join(problems))


def _folder(home: str) -> Path:
    """Return a folder that gives the shop its name."""
    folder = Path(home) / "bookshop"
    folder.mkdir()
    return folder


def pictures(shop: Bookshop, visitor: Visitor) -> list[Picture]:
    """Run the shop for a while, and return the pages to take pictures of."""
    for number in range(1, 17):
        shop.publish("ship_order", order(number), channel="web")
    (order_17,) = shop.fail("ship_order", [order(17, WRONG)])
    shop.publish("charge", *[{"order": number, "pence": 1999} for number in range(1, 9)])
    shop.fail("check_stock", [{"number": number} for number in range(60) if number % 5])
    shop.fail("refund", [{"number": number} for number in range(23)])
    shop.fail_job("write_statements", {"year": 2024, "customers": ["Ada", ""]})
    job = shop.send("write_statements", {"year": 2025, "customers": ["Ada", "Grace"]})
    shop.wait_done("write_statements")
    shop.publish("count_visit", *[b"visit %d" % number for number in range(200)])
    shop.publish("thank", *[{"to": f"reader-{number}@example.org"} for number in range(3)])
    shop.publish("ship_order", *[order(number) for number in range(18, 21)])
    shop.wait_done("ship_order", 19)
    shop.run_of(order_17)
    plan = planned(shop, visitor, order_17)
    return [
        Picture("start", "/"),
        Picture("start-dark", "/", dark=True),
        Picture("message", f"/messages/{order_17}", height=880),
        Picture("live", "/live"),
        Picture("job", f"/jobs/write_statements/{job}", height=860),
        Picture("send", "/tasks/ship_order/send?sample=1", height=860),
        Picture("schedules", "/schedules", height=370),
        Picture("phone", f"/messages/{order_17}", narrow=True, dark=True, height=844),
        Picture("dead-letters", "/dead-letters", height=860),
        Picture("dead-letter", f"/dead-letters/{order_17}", height=860),
        Picture("plan", plan, height=620),
    ]


def planned(shop: Bookshop, visitor: Visitor, message: str) -> str:
    """Correct the address of an order, plan its replay, and return the path of the plan."""
    page = visitor.open("/dead-letters")
    page.get_by_role("button", name="Look again").click()
    page.goto(f"/dead-letters/{message}/edit")
    page.get_by_role("textbox", name="street required").fill(GOOD)
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Plan a replay").click()
    page.get_by_text("nothing is sent until you run it").wait_for()
    return page.url.removeprefix(visitor.site)


def take(visitor: Visitor, picture: Picture, folder: Path) -> None:
    """Take a picture, with few colours, so that it is small."""
    page = visitor.open(picture.path, dark=picture.dark, narrow=picture.narrow)
    width = chromium.NARROW[0] if picture.narrow else 1120
    page.set_viewport_size({"width": width, "height": picture.height})
    wait_until(lambda: settled(page), "the page has its times")
    quantised = subprocess.run(
        ["pngquant", "--speed", "1", COLOURS, "-"],
        input=page.screenshot(),
        capture_output=True,
        check=True,
    )
    (folder / f"{picture.name}.png").write_bytes(quantised.stdout)
    page.close()


def settled(page: Page) -> bool:
    """Return True if the module has written the times in the visitor's zone."""
    return not page.evaluate(
        "[...document.querySelectorAll('time')].some(time => time.textContent.endsWith(' UTC'))"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
