"""Find filters that no message passes, by trying every kind of message that they distinguish."""

from __future__ import annotations

import itertools
import math
import re

from ucam_faas.gcp import filters

MOST_TRIED = 20_000
_KEY = re.compile(r'attributes\s*[.:]\s*("(?:\\.|[^"\\])*"|[A-Za-z0-9_-]+)')
_TEXT = re.compile(r'"((?:\\.|[^"\\])*)"')
_OTHER = "\N{SNOWMAN}"
"""A text that no filter names."""


def matches_nothing(text: str) -> bool:
    r"""Return True if no message can pass; False if that would take too long to find out.

    A filter distinguishes the values that it names. So each attribute is tried with those, with
    longer values (for prefixes), with another value and without any, in all combinations.

    >>> matches_nothing('attributes.kind = "a" AND attributes.kind = "b"')
    True
    >>> matches_nothing('hasPrefix(attributes.kind, "a") AND attributes.kind != "a"')
    False
    """
    if "\\" in text:
        return False  # escapes would have to be decoded
    matches = filters.parse(text)
    keys = sorted({key.strip('"') for key in _KEY.findall(text)})
    named = sorted(set(_TEXT.findall(text)))
    values = [None, _OTHER, *named, *(value + _OTHER for value in named)]
    if math.pow(len(values), len(keys)) > MOST_TRIED:
        return False
    for combination in itertools.product(values, repeat=len(keys)):
        pairs = zip(keys, combination, strict=True)
        if matches({key: value for key, value in pairs if value is not None}):
            return False
    return True
