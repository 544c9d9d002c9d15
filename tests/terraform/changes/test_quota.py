"""Forty tasks stay within Google's default quota of 100 service accounts in a project."""

from __future__ import annotations

from pathlib import Path

import pytest

from .deployment import IMAGE, Deployment

pytestmark = pytest.mark.slow

ACCOUNTS_OF_FORTY_TASKS = 43
"""One for each task to run as, and one each for pushes, schedules and archives."""
HEAD = "from ucam_faas import message_handler, raw_event\n"
SERVICE = """

@message_handler(message_type=None, topic="orders")
def service_{number}(data: bytes) -> None: ...
"""
JOB = """

@raw_event(run_as="cloud-run-job", schedule="0 {number} * * *")
def job_{number}(body: bytes) -> None: ...
"""


def test_forty_tasks_need_forty_three_accounts(fresh_shop: Deployment, tmp_path: Path) -> None:
    shop = fresh_shop.copy(tmp_path / "shop")
    services = [SERVICE.format(number=number) for number in range(30)]
    jobs = [JOB.format(number=number) for number in range(10)]
    (shop.folder / "main.py").write_text("".join([HEAD, *services, *jobs]))
    (shop.folder / "ucam-faas.toml").write_text(
        'project = "my-project"\nregion = "europe-west2"\ndead_letter_archive = "letters"\n'
    )
    shop.plan()

    plan = shop.terraform.plan({"container_image": IMAGE})

    assert len(plan.of("google_cloud_run_v2_service")) == 30
    assert len(plan.of("google_cloud_run_v2_job")) == 10
    assert len(plan.of("google_service_account")) == ACCOUNTS_OF_FORTY_TASKS
