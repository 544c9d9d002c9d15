"""Each row of docs/guarantees.md has tests that would fail if it weren't true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = {
    "a job whose `send` returned": [
        "tests/trials/trial_jobs.py::test_a_sender_killed_between_row_and_publish_has_sent_one_job",
        "tests/jobs/test_processes_share_a_store.py"
        "::test_a_process_that_is_killed_at_any_step_leaves_whole_writes",
        "tests/jobs/test_store_down.py::test_a_disk_that_fills_up_loses_no_job_whose_send_returned",
    ],
    "a `send` that raised `JobStoreError`, or never returned": [
        "tests/jobs/test_store_down.py::test_a_send_raises_and_the_same_send_again_is_one_job",
    ],
    "one `id`, while its row is kept": [
        "tests/jobs/test_one_id.py::test_an_id_that_fifty_threads_of_two_processes_send_is_one_run",
        "tests/jobs/test_one_id.py::test_an_id_is_a_new_job_after_the_retention",
    ],
    "the stored result": [
        "tests/trials/trial_jobs.py::test_a_holder_that_was_stopped_past_its_lease_changes_nothing",
        "tests/jobs/test_current_job.py::test_a_late_thread_can_report_nothing",
        "tests/jobs/test_sending.py::test_a_process_that_lost_its_job_can_not_send",
        "tests/jobs/test_runs.py::test_a_success_that_cant_be_stored_within_the_lease_is_refused",
    ],
    "your function": [
        "tests/testing/test_jobs.py::test_every_job_ends_once_with_its_result",
        "tests/jobs/test_store_down.py"
        "::test_an_end_that_isnt_stored_is_no_success_and_the_job_runs_again",
    ],
    "two processes with one job": [
        "tests/jobs/test_processes_share_a_store.py"
        "::test_each_job_is_claimed_by_one_of_many_processes",
        "tests/trials/trial_jobs.py::test_a_holder_that_was_stopped_past_its_lease_changes_nothing",
    ],
    "attempts": [
        "tests/trials/trial_deploys.py::test_twenty_deploys_during_one_job_spend_no_attempt",
        "tests/trials/trial_deploys.py"
        "::test_a_backlog_of_ten_thousand_at_concurrency_one_spends_no_attempt",
        "tests/jobs/test_runs.py::test_a_job_whose_process_was_lost_too_often_has_failed",
    ],
    "a job with `max_attempts=1`": [
        "tests/jobs/test_lost_processes.py::test_a_job_with_one_attempt_is_not_started_again",
        "tests/jobs/test_runs.py::test_a_job_with_a_retry_policy_of_its_own_follows_that",
        "tests/jobs/test_runs.py::test_a_shutdown_spends_no_attempt",
    ],
    "a job that runs beside one that crashes their process": [
        "tests/jobs/test_lost_processes.py"
        "::test_a_job_runs_alone_after_two_losses_and_for_its_last_attempt",
    ],
    "a job that is sent [in your transaction](transactions.md)": [
        "tests/jobs/test_killed_payments.py::test_a_payment_is_taken_once_or_was_never_ordered",
        "tests/jobs/test_transactions.py::test_a_rollback_sends_nothing",
        "tests/jobs/test_transactions.py::test_a_commit_that_fails_sends_nothing",
    ],
    "the effects in a block that [completes](transactions.md#effects-that-happen-once) its job": [
        "tests/jobs/test_killed_payments.py::test_a_payment_is_taken_once_or_was_never_ordered",
        "tests/trials/trial_payments.py"
        "::test_no_payment_is_lost_or_doubled_by_real_processes_that_are_killed",
        "tests/jobs/test_complete.py::test_a_process_that_lost_its_job_rolls_its_effects_back",
        "tests/jobs/test_complete.py::test_a_commit_whose_answer_is_lost_has_completed_the_job",
    ],
    "an expired job": [
        "tests/jobs/test_sending.py::test_a_job_expires_after_its_ttl",
        "tests/jobs/test_sweep.py::test_a_job_expires_on_time_however_rarely_it_is_woken",
    ],
    "a delay, a backoff, a `ttl`": [
        "tests/jobs/test_clocks.py"
        "::test_a_delay_is_never_early_and_runs_once_whatever_the_clock_does",
        "tests/jobs/test_clocks.py"
        "::test_postgresqls_clock_decides_however_wrong_those_of_the_processes_are",
    ],
    "a lease": [
        "tests/jobs/test_clocks.py::test_a_lease_lasts_as_long_when_the_clock_is_set",
        "tests/jobs/test_clocks.py"
        "::test_after_a_restart_of_the_machine_a_lease_ends_by_the_wall_clock",
    ],
    "a job of a process that was lost": [
        "tests/jobs/test_sweep.py::test_a_job_whose_process_was_lost_is_woken_when_its_lease_ends",
    ],
    "a wake": [
        "tests/jobs/test_runs.py::test_one_wake_too_many_is_acknowledged_and_no_news",
        "tests/trials/trial_jobs.py::test_a_late_wake_after_the_retention_makes_nothing",
    ],
    "a lost wake, such as that of a process that was killed right after its `send`": [
        "tests/jobs/test_sweep.py::test_a_job_that_does_not_start_is_woken_ever_more_rarely",
        "tests/testing/test_local_jobs.py"
        "::test_each_job_has_a_stale_holder_and_half_of_them_lose_their_wakes",
    ],
    "the event of an end that has one": [
        "tests/jobs/test_events.py"
        "::test_the_event_of_a_process_that_ended_before_it_was_published_is_repeated",
        "tests/jobs/test_events.py"
        "::test_an_event_that_was_published_before_its_process_ended_is_repeated_with_its_id",
    ],
    "a large payload or result": [
        "tests/jobs/test_payloads.py::test_the_sweep_removes_objects_with_their_job",
        "tests/jobs/test_payloads.py::test_a_job_without_its_payload_ends_at_once_and_says_why",
    ],
    "a [step](workflows.md#steps)": [
        "tests/jobs/test_killed_steps.py"
        "::test_a_job_whose_processes_are_killed_repeats_at_most_the_step_in_flight",
        "tests/trials/trial_steps.py::test_a_thousand_steps_are_done_once_but_for_those_in_flight",
        "tests/jobs/test_steps.py::test_a_process_that_lost_its_job_stores_no_step",
    ],
    "a [sleep](workflows.md#sleep)": [
        "tests/jobs/test_steps.py::test_a_sleep_gives_the_instance_back_and_spends_no_attempt",
        "tests/jobs/test_steps.py::test_a_job_that_wakes_early_sleeps_for_the_rest",
    ],
    "the callback of a [batch](workflows.md#batches)": [
        "tests/jobs/test_batch_races.py"
        "::test_members_that_end_while_the_callback_is_sent_start_it_once",
        "tests/jobs/test_batches.py"
        "::test_the_sweep_starts_a_callback_whose_last_job_ended_without_asking",
        "tests/trials/trial_batches.py::test_the_callback_of_a_thousand_jobs_runs_once",
    ],
    "a limit of a key": [
        "tests/jobs/test_firestore_limits.py"
        "::test_claims_of_two_processes_at_once_take_no_more_than_the_limit",
        "tests/jobs/test_limits_of_killed_processes.py"
        "::test_jobs_of_a_key_never_overlap_and_start_in_order_while_holders_are_killed",
        "tests/contract/job_store_contract.py"
        "::test_so_many_jobs_of_a_limit_key_start_in_the_order_of_sending",
        "tests/jobs/test_limits.py"
        "::test_a_wake_of_a_job_that_waits_is_acknowledged_and_spends_nothing",
    ],
    "the order of jobs with one `ordering_key`, or one key of a limit": [
        "tests/jobs/test_firestore_limits.py"
        "::test_the_order_of_sending_is_that_of_the_server_whatever_the_senders_clocks_say",
        "tests/contract/job_store_contract.py::test_jobs_in_order_wait_for_the_end_of_all_before",
        "tests/jobs/test_limits.py"
        "::test_an_ordering_key_holds_back_later_jobs_until_the_end_of_one_that_is_retried",
        "tests/jobs/test_limits_of_killed_processes.py"
        "::test_jobs_of_a_key_never_overlap_and_start_in_order_while_holders_are_killed",
    ],
    "the history": [
        "tests/contract/job_store_contract.py::test_a_history_keeps_its_beginning_and_its_end",
    ],
    "a [replay](dead-letters.md#how-it-works) of a dead letter": [
        "tests/dead_letters/test_killed_runs.py"
        "::test_a_process_that_is_really_killed_at_any_step_loses_nothing",
    ],
}
PROMISES_NOTHING = {"the order of other jobs"}


def rows() -> list[str]:
    """Return the first cells of the table."""
    return re.findall(r"^\| ([^|]+) \|", (ROOT / "docs/guarantees.md").read_text(), re.M)


def test_every_row_of_the_guarantees_has_its_tests() -> None:
    promised = [row for row in rows() if row not in PROMISES_NOTHING]

    assert promised == list(TESTS)


@pytest.mark.parametrize("test", sorted({test for tests in TESTS.values() for test in tests}))
def test_the_test_of_a_guarantee_exists(test: str) -> None:
    path, _, name = test.partition("::")

    assert re.search(rf"def {name}\(", (ROOT / path).read_text()), test
