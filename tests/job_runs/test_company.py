"""A job that may have ended processes runs alone in this one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ucam_faas.job_runs.company import Company


@pytest.fixture
def company() -> Company:
    return Company()


def test_no_other_joins_a_job_that_runs_alone_until_it_leaves(company: Company) -> None:
    company.join("first")

    assert company.be_alone("first", 0)
    assert not company.join("second")
    company.leave("first")
    assert company.join("second")


def test_a_job_whose_company_does_not_leave_in_time_is_not_alone(company: Company) -> None:
    company.join("first")
    company.join("second")

    assert not company.be_alone("first", 0)
    assert company.join("third")


def test_a_job_is_alone_when_the_others_have_left(company: Company) -> None:
    company.join("first")
    company.join("second")

    with ThreadPoolExecutor(1) as pool:
        alone = pool.submit(company.be_alone, "first", 60)
        while company.join("third"):
            company.leave("third")
        company.leave("second")

        assert alone.result()


def test_of_two_that_have_to_be_alone_one_gives_way(company: Company) -> None:
    company.join("first")
    company.be_alone("first", 0)

    assert not company.be_alone("second", 60)


def test_leaving_again_changes_nothing(company: Company) -> None:
    company.join("first")
    company.leave("first")
    company.join("second")
    company.be_alone("second", 0)

    company.leave("first")

    assert not company.join("third")
