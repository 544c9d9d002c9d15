"""The events of this package as people read them on a terminal; JSON lines keep the names."""

from __future__ import annotations

SENTENCES = {
    "ucam_faas_background_task_failed": "a background task failed",
    "ucam_faas_connected_at_import": "the import of the tasks has left connections open",
    "ucam_faas_cross_site_request_refused": "a web page's request was refused",
    "ucam_faas_dead_letter_failed": "the dead-letter topic didn't take the message",
    "ucam_faas_default_info_failed": "the default report failed; the outcome stays",
    "ucam_faas_environment_differs": "two tasks want different values of a variable",
    "ucam_faas_function_ended_late": "the function ended after its delivery had been answered",
    "ucam_faas_header_not_sent": "a header isn't valid HTTP, and was left out",
    "ucam_faas_init_completed": "start-up code has run",
    "ucam_faas_job_not_run": "the job didn't run",
    "ucam_faas_log_lines_dropped": "log lines were dropped, because their reader had stopped",
    "ucam_faas_main_process_ended": "the main process has ended, and this one ends, too",
    "ucam_faas_make_http_response_failed": "making the HTTP response failed",
    "ucam_faas_process_replaced": "this process is replaced",
    "ucam_faas_report_failed": "the report failed; the outcome stays",
    "ucam_faas_request_rejected": "a request was rejected",
    "ucam_faas_result_is_no_response": "the result isn't an HTTP response",
    "ucam_faas_result_is_not_json": "the result isn't JSON",
    "ucam_faas_result_is_too_large": "the result is too large for the job store",
    "ucam_faas_secret_not_set": "the variable of a secret isn't set",
    "ucam_faas_start_failed": "the start failed",
    "ucam_faas_task_process_ended": "the process of the function ended",
    "ucam_faas_task_process_failed": "a process of the task could not start",
    "ucam_faas_thread_abandoned": "the function is past its deadline; its thread is left alone",
    "ucam_faas_unknown_variable": "a variable is set, and not used",
}
