"""A dashboard as an HTML page on CloudWatch's grid of 24 columns."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

from tools.dashboard_preview.plot import svg
from tools.dashboard_preview.widgets import ONLY_IN_AWS, Alarms, Drawn, Graph, Listing, Placed

WIDTH = 1600
"""Pixels, of the page."""
COLUMN, ROW, GAP, MARGIN, HEAD = 66, 50, 8, 12, 66
_TITLE, _LEGEND, _LETTER = 30, 19, 6.6

_CSS = """
* { box-sizing: border-box; margin: 0; }
body { width: %(width)dpx; height: %(height)dpx; position: relative; background: #f2f3f3; color: #16191f;
  font: 13px "Liberation Sans", Arial, Helvetica, "DejaVu Sans", sans-serif; overflow-x: hidden; }
header { height: %(head)dpx; padding: 10px 18px; background: #fff; border-bottom: 1px solid #d5dbdb; }
h1 { font-size: 19px; } header p { color: #545b64; margin-top: 5px; }
section { position: absolute; background: #fff; border: 1px solid #d5dbdb; border-radius: 4px;
  overflow: hidden; }
h2 { font-size: 14px; line-height: 18px; padding: 8px 12px 4px; height: 30px;
  white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
svg { display: block; } svg text { font-family: inherit !important; }
ul { list-style: none; padding: 2px 12px; display: flex; gap: 3px 16px; flex-wrap: wrap; }
.legend li { font-size: 12px; white-space: nowrap; }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 5px; }
.note { color: #879596; }
.alarms li { border: 1px solid #d5dbdb; border-left: 5px solid #aab7b8; border-radius: 3px;
  padding: 5px 10px; white-space: nowrap; }
table { border-collapse: collapse; width: 100%%; font-size: 12px; }
th { text-align: left; color: #545b64; background: #fafafa; border-bottom: 1px solid #d5dbdb; }
th, td { padding: 4px 12px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; max-width: 380px; }
th:last-child, td:last-child { width: 100%%; max-width: 0; }
td { border-bottom: 1px solid #eaeded; }
"""


def height(placed: Sequence[Placed]) -> int:
    """Pixels that the page is high."""
    return HEAD + 2 * MARGIN + max(one.y + one.height for one in placed) * ROW


def page(name: str, about: str, placed: Sequence[Placed]) -> str:
    """The page.

    Args:
        name: the dashboard's.
        about: what was run and measured, in one sentence.
        placed: what is drawn.
    """
    css = _CSS % {"width": WIDTH, "height": height(placed), "head": HEAD}
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{_text(name)}</title>'
        f"<style>{css}</style><body><header><h1>{_text(name)}</h1><p>{_text(about)}</p></header>"
        f"{''.join(map(_section, placed))}</body></html>\n"
    )


def _section(placed: Placed) -> str:
    left, top = MARGIN + placed.x * COLUMN, HEAD + MARGIN + placed.y * ROW
    width, height = placed.width * COLUMN - GAP, placed.height * ROW - GAP
    content = placed.content
    match content:
        case Graph():
            legend = "".join(map(_legend, content.lines))
            letters = sum(len(line.label + line.note) + 6 for line in content.lines)
            rows = math.ceil(letters * _LETTER / (width - 24))
            drawn = svg(content, width - 2, height - 6 - _TITLE - _LEGEND * rows)
            body = f'{drawn}<ul class="legend">{legend}</ul>'
        case Listing():
            body = _table(content)
        case Alarms():
            names = "".join(f"<li>{_text(name)}</li>" for name in content.names)
            body = f'<ul class="alarms">{names}<li class="note">states: {ONLY_IN_AWS}</li></ul>'
    return (
        f'<section style="left:{left}px;top:{top}px;width:{width}px;height:{height}px">'
        f"<h2>{_text(content.title)}</h2>{body}</section>"
    )


def _legend(line: Drawn) -> str:
    note = f' <span class="note">({line.note})</span>' if line.note else ""
    return f'<li><i style="background:{line.colour}"></i>{_text(line.label)}{note}</li>'


def _table(listing: Listing) -> str:
    if not listing.table.rows:
        return '<p class="note" style="padding:4px 12px">No results</p>'
    head = "".join(f"<th>{_text(column)}</th>" for column in listing.table.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{_text(value)}</td>' for value in row)}</tr>"
        for row in listing.table.rows
    )
    return f"<table><tr>{head}</tr>{rows}</table>"


def _text(value: Any) -> str:  # noqa: ANN401 - whatever a log line holds
    """As Insights shows it: whole numbers without a point."""
    whole = isinstance(value, float) and value.is_integer()
    return html.escape(str(int(value) if whole else value))
