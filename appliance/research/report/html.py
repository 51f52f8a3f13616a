"""Pieces of a page. Whatever is given as text is escaped here; what is ``Html`` already is not escaped again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Any


class Html(str):
    """Text that is safe to stand in a page as it is."""

    __slots__ = ()


Piece = str | Html
"""A text, which will be escaped, or what is HTML already."""


def safe(piece: Piece) -> Html:
    """A piece as HTML."""
    return piece if isinstance(piece, Html) else Html(escape(piece))


def join(*pieces: Piece) -> Html:
    """Pieces one after the other."""
    return Html("".join(map(safe, pieces)))


def tag(name: str, *pieces: Piece, **attributes: str | None) -> Html:
    """An element. ``class_`` is class, ``data_metric`` is data-metric; an attribute that is None is left out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{given}>{join(*pieces)}</{name}>")


def section(anchor: str, title: str, lead: Piece, *pieces: Piece) -> Html:
    """A part of the page with its heading; ``lead`` says in a sentence what it shows."""
    return tag("section", tag("h2", title), tag("p", lead, class_="lead"), *pieces, id=anchor, aria_label=title)


def table(head: Sequence[Piece], rows: Iterable[Sequence[Piece]], **attributes: str | None) -> Html:
    """A table that scrolls by itself where the page is narrow. A cell that is an element of its own (``<td``) stays."""
    top = tag("thead", tag("tr", *(_cell("th", cell) for cell in head)))
    body = tag("tbody", *(tag("tr", *(_cell("td", cell) for cell in row)) for row in rows))
    return tag("div", tag("table", top, body, **attributes), class_="scroll")


def _cell(name: str, piece: Piece) -> Html:
    if isinstance(piece, Html) and piece.startswith(("<td", "<th")):
        return piece
    return tag(name, piece, scope="col" if name == "th" else None)


def heading(text: str) -> Html:
    """The heading of a column of words: they begin at its left."""
    return tag("th", text, scope="col", class_="text")


@cache
def asset(name: str) -> str:
    """The text of a file beside this one, in ``assets``."""
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def page(title: str, body: Html, charts: Sequence[Mapping[str, Any]]) -> bytes:
    """A whole page, with everything it needs inside; ``charts`` are drawn by ``assets/charts.js``."""
    library = bool(charts)
    return (
        Template(asset("page.html"))
        .substitute(
            title=escape(title),
            style=(asset("uPlot.min.css") if library else "") + asset("style.css"),
            body=body,
            data=script_json(charts),
            library=asset("uPlot.iife.min.js") if library else "",
            script=asset("charts.js") if library else "",
        )
        .encode()
    )


def script_json(value: Any) -> str:
    """JSON that may stand in a script element: no ``<`` of it can end one."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
