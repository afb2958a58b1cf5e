"""Ask, tell what was found as the doctor does, and say by the exit status whether something is wrong."""

from __future__ import annotations

import argparse
import sys

from handler.doctor.findings import Finding, Findings, Status
from tools.stack_config import StackConfig, StackConfigError
from tools.verify.checks import CHECKS
from tools.verify.reading import Deployed, answer


def verify(of: Deployed) -> Findings:
    """What every check finds; the first's alone where the stack cannot be looked at."""
    findings: list[Finding] = []
    for check, examine in CHECKS.items():
        findings += answer(check, of, examine)
        if "description" not in vars(of):
            break
    return Findings(f"{of.name} in {of.region}", tuple(findings))


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
    told = verify(Deployed(arguments.stack or config.stack, config.region))
    print(told.as_text())
    some_hold = any(one.status is Status.OK for one in told.findings)
    return 0 if told.healthy and some_hold else 1


if __name__ == "__main__":
    raise SystemExit(main())
