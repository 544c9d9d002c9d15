"""A job in words, for the command line and for pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ucam_faas.jobs.rows import Row
from ucam_faas.logs.columns import printable


def progress(report: Mapping[str, Any]) -> str:
    """Return a task's progress for people.

    >>> progress({"done": 12, "total": 40, "note": "pages"})
    '12 of 40 (30 %), pages'
    """
    done, total, words = (report.get(name) for name in ("done", "total", "note"))
    parts = []
    if done is not None:
        parts.append(f"{done:g}" if not total else f"{done:g} of {total:g} ({done / total:.0%})")
    if words:
        parts.append(printable(str(words)))
    return ", ".join(parts).replace("%)", " %)")


def error_text(row: Row) -> str:
    """Return a job's last error in one line."""
    if not row.error:
        return ""
    return printable(f"{row.error.get('type')}: {row.error.get('message')}")
