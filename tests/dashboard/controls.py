"""The controls of an HTML page, as a browser reads and submits them."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode


class _Controls(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[tuple[str, str]] = []
        self._area: list[str] | None = None
        self._select: str | None = None
        self._options: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        name = values.get("name", "")
        if tag == "textarea":
            self._area = []
            self._name = name
        elif tag == "select":
            self._select, self._options = name, []
        elif tag == "option":
            self._options.append((values["value"], "selected" in values))
        elif tag == "input" and name:
            if values.get("type") == "checkbox" and "checked" not in values:
                return
            text = values.get("value", "")
            assert "\r" not in text
            self.pairs.append((name, text.replace("\n", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area is not None:
            text = "".join(self._area).removeprefix("\n")
            self.pairs.append((self._name, text.replace("\n", "\r\n")))
            self._area = None
        elif tag == "select" and self._select is not None:
            selected = [value for value, is_selected in self._options if is_selected]
            self.pairs.append((self._select, selected[-1] if selected else self._options[0][0]))
            self._select = None

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._area.append(data)


def submitted(html: str) -> dict[str, str]:
    """Return the controls of a page as its server gets them, buttons left out."""
    reader = _Controls()
    reader.feed(html)
    reader.close()
    body = urlencode(reader.pairs)
    return dict(reversed(parse_qsl(body, keep_blank_values=True, strict_parsing=bool(body))))
