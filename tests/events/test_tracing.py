"""Well-formed trace contexts are read; malformed ones are ignored."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from ucam_faas.events.tracing import Trace, from_attributes, from_headers

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


@pytest.mark.parametrize(("flags", "sampled"), [("01", True), ("00", False), ("03", True)])
def test_traceparent_is_read(flags: str, sampled: bool) -> None:
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-{flags}"}

    trace = from_headers(headers)

    assert trace == Trace(TRACE, SPAN, sampled)


def test_traceparent_of_a_later_version_may_have_more_parts() -> None:
    trace = from_headers({"traceparent": f"01-{TRACE}-{SPAN}-01-more"})

    assert trace == Trace(TRACE, SPAN, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{TRACE}/1;o=1", Trace(TRACE, "0000000000000001", True)),
        (f"{TRACE}/1;o=0", Trace(TRACE, "0000000000000001", False)),
        (f"{TRACE}/1", Trace(TRACE, "0000000000000001", None)),
        (TRACE, Trace(TRACE, None, None)),
        (f"{TRACE};o=1", Trace(TRACE, None, True)),
        (f"{TRACE.upper()}/255", Trace(TRACE, "00000000000000ff", None)),
        (f"{TRACE}/18446744073709551615;o=1", Trace(TRACE, "f" * 16, True)),
    ],
)
def test_x_cloud_trace_context_is_read(text: str, expected: Trace) -> None:
    trace = from_headers({"x-cloud-trace-context": text})

    assert trace == expected


def test_traceparent_comes_before_x_cloud_trace_context() -> None:
    headers = {
        "traceparent": f"00-{TRACE}-{SPAN}-01",
        "x-cloud-trace-context": f"{'1' * 32}/1;o=0",
    }

    trace = from_headers(headers)

    assert trace == Trace(TRACE, SPAN, True)


def test_googclient_traceparent_is_read_from_attributes() -> None:
    trace = from_attributes({"googclient_traceparent": f"00-{TRACE}-{SPAN}-01"})

    assert trace == Trace(TRACE, SPAN, True)


@pytest.mark.parametrize("headers", [{}, {"traceparent": ""}, {"x-cloud-trace-context": ""}])
def test_without_a_header_there_is_no_trace(headers: dict[str, str]) -> None:
    assert from_headers(headers) is None
    assert from_attributes({}) is None


@pytest.mark.parametrize(
    "text",
    [
        "junk",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0x",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
    ],
    ids=repr,
)
def test_a_malformed_traceparent_is_no_trace(text: str) -> None:
    assert from_headers({"traceparent": text}) is None
    assert from_attributes({"googclient_traceparent": text}) is None


@pytest.mark.parametrize("text", ["junk", TRACE[:-1], f"/{TRACE}", "0" * 32 + "/1;o=1"], ids=repr)
def test_a_malformed_x_cloud_trace_context_is_no_trace(text: str) -> None:
    assert from_headers({"x-cloud-trace-context": text}) is None


@settings(max_examples=50, deadline=None)
@given(text=st.text(max_size=80))
def test_no_header_is_an_error(text: str) -> None:
    from_headers({"traceparent": text})
    from_headers({"x-cloud-trace-context": text})
    from_attributes({"googclient_traceparent": text})


@settings(max_examples=50, deadline=None)
@given(trace=st.integers(1, 2**128 - 1), span=st.integers(1, 2**64 - 1), flags=st.integers(0, 255))
def test_any_traceparent_arrives_intact(trace: int, span: int, flags: int) -> None:
    parsed = from_headers({"traceparent": f"00-{trace:032x}-{span:016x}-{flags:02x}"})

    assert parsed == Trace(f"{trace:032x}", f"{span:016x}", bool(flags % 2))
