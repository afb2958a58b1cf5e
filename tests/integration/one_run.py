"""One run in a process of its own: waits for a line on its input, then invokes the handler."""

from __future__ import annotations

import json
import sys

from handler.termination import lambda_handler
from local.invoke import LocalContext


def main() -> None:
    """Say that it is ready, wait for the word, run, write what came back."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    returned = lambda_handler({}, LocalContext())  # as Lambda's own
    sys.stdout.write(json.dumps({"returned": returned}) + "\n")


if __name__ == "__main__":
    main()
