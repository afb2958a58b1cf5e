"""Ask, show the table, and say by the exit status whether something is wrong."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tools.stack_config import StackConfig, StackConfigError
from tools.verify.checks import CHECKS
from tools.verify.reading import Deployed, Row, State, answer

STYLES = {State.OK: "green", State.WRONG: "bold red", State.CANNOT_TELL: "yellow"}


def verify(of: Deployed) -> list[Row]:
    """Every check's rows; the first's alone where the stack cannot be looked at."""
    rows: list[Row] = []
    for name, check in CHECKS.items():
        rows += answer(name, partial(check, of))
        if "description" not in vars(of):
            break
    return rows


def show(rows: list[Row]) -> None:
    """Each row as it is, whatever characters it holds."""
    table = Table("check", "state", "found", "cause and cure")
    for row in rows:
        advice = Text(row.cause)
        if row.cure:
            advice.append("\ncure: ", style="bold").append(row.cure)
        table.add_row(row.check, Text(row.state, style=STYLES[row.state]), Text(row.found), advice)
    width = None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "140"))
    Console(width=width).print(table)


def main() -> int:
    """1 if something is wrong, or nothing can be told; 2 if it is not known which stack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a block of samconfig.toml")
    parser.add_argument("--stack", help="another stack's name, such as the dry run's")
    arguments = parser.parse_args()
    try:
        config = StackConfig.read(arguments.name)
    except StackConfigError as error:
        print(error, file=sys.stderr)
        return 2
    rows = verify(Deployed(arguments.stack or config.stack, config.region))
    show(rows)
    states = {row.state for row in rows}
    return 1 if State.WRONG in states or State.OK not in states else 0


if __name__ == "__main__":
    raise SystemExit(main())
