"""Changes of the shop's code and configuration that used to lose messages."""

from __future__ import annotations

from collections.abc import Callable

from .deployment import SHOP, Deployment

Change = Callable[[Deployment], None]
CONFIG = "ucam-faas.toml"
_CODE = (SHOP / "main.py").read_text()
_TAKE_ORDER = _CODE[_CODE.index("@message_handler(message_type=Order") :].partition("\n\n\n")[0]
_READER = '''

@message_handler(message_type=None, topic="take_order-dead-letter")
def look_at(data: bytes) -> None:
    """Look at a failed order."""
'''


def remove_a_task(shop: Deployment) -> None:
    shop.edit((_TAKE_ORDER, ""))
    text = (shop.folder / CONFIG).read_text()
    (shop.folder / CONFIG).write_text(text.partition("[task.take_order]")[0])


def keep_one_task(shop: Deployment) -> None:
    before, _, _ = _CODE.partition("@message_handler(message_type=Order")
    (shop.folder / "main.py").write_text(f"{before}{_TAKE_ORDER}\n")


def rename_a_task(shop: Deployment) -> None:
    shop.edit(("def take_order", "def accept_order"))
    shop.edit(("task.take_order", "task.accept_order"), file=CONFIG)


def make_it_a_job(shop: Deployment) -> None:
    shop.edit(
        (
            '@message_handler(message_type=None, schedule="*/15',
            '@raw_event(run_as="cloud-run-job", schedule="*/15',
        ),
        ("def tidy_up(data: bytes)", "def tidy_up(body: bytes)"),
    )


def make_it_a_worker(shop: Deployment) -> None:
    shop.edit(('topic="orders", schedule', 'topic="orders", run_as="worker", schedule'))


def make_it_a_service(shop: Deployment) -> None:
    shop.edit(('run_as="worker", ', ""))


def move_to_another_region(shop: Deployment) -> None:
    shop.edit(("europe-west2", "europe-west1"), file=CONFIG)


def move_to_another_project(shop: Deployment) -> None:
    shop.edit(('"my-project"', '"new-project"'), file=CONFIG)


def read_dead_letters(shop: Deployment) -> None:
    with (shop.folder / "main.py").open("a") as file:
        file.write(_READER)


def name_the_topic_in_full(shop: Deployment) -> None:
    shop.edit(('topic="orders"', 'topic="projects/my-project/topics/orders"'))


def read_another_topic(shop: Deployment) -> None:
    shop.edit(('topic="orders"', 'topic="purchases"'))


def name_another_dead_letter_topic(shop: Deployment) -> None:
    shop.edit(('dead_letter_topic="failed"', 'dead_letter_topic="bounced"'))


def name_a_dead_letter_topic(shop: Deployment) -> None:
    """The archive is that of all tasks from then on."""
    shop.edit(('topic="orders", ', 'topic="orders", dead_letter_topic="failed", '))
    shop.edit(("[task.take_order]\n", ""), file=CONFIG)


def retry_for_ever(shop: Deployment) -> None:
    shop.edit(
        (
            'schedule="*/15 * * * *"',
            'schedule="*/15 * * * *", retry=RetryPolicy(max_attempts=None)',
        ),
        ("import Schedule", "import RetryPolicy, Schedule"),
    )
