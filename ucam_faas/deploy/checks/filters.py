"""Whether any message can pass a filter: every kind of message that it tells apart is tried."""

from __future__ import annotations

import itertools
import math
import re

from ucam_faas.gcp import filters

MOST_TRIED = 20_000
_KEY = re.compile(r'attributes\s*[.:]\s*("(?:\\.|[^"\\])*"|[A-Za-z0-9_-]+)')
_TEXT = re.compile(r'"((?:\\.|[^"\\])*)"')
_OTHER = "\N{SNOWMAN}"
"""What no filter names."""


def matches_nothing(text: str) -> bool:
    r"""Tell whether no message can pass; False if it would take too long to find out.

    A filter tells values apart by what it names: so those, something behind each (it may ask for
    prefixes), something else and nothing at all are tried, in all combinations.

    >>> matches_nothing('attributes.kind = "a" AND attributes.kind = "b"')
    True
    >>> matches_nothing('hasPrefix(attributes.kind, "a") AND attributes.kind != "a"')
    False
    """
    if "\\" in text:
        return False  # what is written is not what is meant
    matches = filters.parse(text)
    keys = sorted({found.strip('"') for found in _KEY.findall(text)})
    named = sorted(set(_TEXT.findall(text)))
    values = [None, _OTHER, *named, *(value + _OTHER for value in named)]
    if math.pow(len(values), len(keys)) > MOST_TRIED:
        return False
    for combination in itertools.product(values, repeat=len(keys)):
        pairs = zip(keys, combination, strict=True)
        if matches({key: value for key, value in pairs if value is not None}):
            return False
    return True
