"""Would CloudWatch Logs' metric filter match this line? What the template's patterns use, and no more.

Source: CloudWatch Logs User Guide, "Using filter patterns to match terms in JSON log events". moto keeps
metric filters and evaluates none. Known: `{ (a) || (b) }` of comparisons of one property, at any depth, with a quoted
text, `*` in it for anything, or with a number. Anything else is an error, never a silent yes or no.
"""

from __future__ import annotations

import json
import re
from typing import Any

_COMPARISON = re.compile(r'\$\.([\w.]+)(?:\[(\d+)\])? (=|>) (?:"([^"]*)"|(\d+))')


def matches(pattern: str, line: str) -> bool:
    """Whether a log line is counted; one that is no JSON object never is."""
    inner = pattern.strip()
    if not (inner.startswith("{") and inner.endswith("}")):
        raise NotImplementedError(pattern)
    parts = [part.strip() for part in inner[1:-1].split("||")]
    tests = [part[1:-1] if part.startswith("(") and part.endswith(")") else part for part in parts]
    try:
        event = json.loads(line)
    except ValueError:
        return False
    # First all of them: one that cannot be read must not hide behind one that matches.
    held = [_holds(test.strip(), event) for test in tests]
    return any(held)


def _holds(test: str, event: Any) -> bool:
    read = _COMPARISON.fullmatch(test)
    if read is None:
        raise NotImplementedError(test)
    key, index, operator, text, number = read.groups()
    found = event
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    if index is not None:
        found = found[int(index)] if isinstance(found, list) and len(found) > int(index) else None
    if text is not None and operator == "=":
        wanted = ".*".join(map(re.escape, text.split("*")))
        return isinstance(found, str) and re.fullmatch(wanted, found, re.DOTALL) is not None
    if number is not None and operator == ">":
        return isinstance(found, int | float) and found > float(number)
    raise NotImplementedError(test)
