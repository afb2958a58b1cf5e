"""`make mutants`: a sample of changes, each tried on the tests that reach it; what survives is written down."""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tools.mutants.mutations import Mutation, mutations
from tools.mutants.trial import ROOT, SOURCES, Copy, Verdict

PATHS = ["handler"]
TESTS = [
    *("tests/unit", "tests/property", "tests/facts", "tests/integration/doctor"),
    "tools/ec2_emulator/tests/test_ec2_contract.py",
]
TESTS += [
    str(file.relative_to(ROOT)) for file in ROOT.glob("tests/integration/test_housekeeping*.py")
]
"""The fast ones; nothing but the last ones reaches housekeeping's acting, and how the doctor asks."""
REPORT = ROOT / "build" / "mutants.txt"
BASELINE_SECONDS = 900.0

Mutant = tuple[str, Mutation]
"""The file, relative to the sources, and what is changed in it."""


def candidates(paths: Iterable[str]) -> list[Mutant]:
    """Every change that can be made to the files."""
    files: list[Path] = []
    for path in paths:
        given = ROOT / SOURCES / path
        files += sorted(given.rglob("*.py")) if given.is_dir() else [given]
    return [
        (str(file.relative_to(ROOT / SOURCES)), mutation)
        for file in files
        for mutation in mutations(file.read_text())
    ]


def try_out(
    sample: Sequence[Mutant], tests: Sequence[str], workers: int, limit: float
) -> list[Verdict]:
    """A verdict for each, found by so many processes at a time."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies: SimpleQueue[Copy] = SimpleQueue()
        first = Copy(Path(folder) / "0")
        found = first.reach(tests, BASELINE_SECONDS)
        every = [first] + [
            Copy(Path(folder) / str(number), first.folder) for number in range(1, workers)
        ]
        for one in every:
            one.serve(tests)
            copies.put(one)

        def verdict(mutant: Mutant) -> Verdict:
            file, mutation = mutant
            changed = mutation.applied((ROOT / SOURCES / file).read_text())
            reached = found.tests_for(file, mutation)
            copy = copies.get()
            try:
                at_import = found.at_import(file, mutation)
                return copy.verdict(file, changed, reached, limit, at_import=at_import)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(verdict, sample))


def report(sample: Sequence[Mutant], verdicts: Sequence[Verdict], of: int) -> str:
    """How many of each, and those that nobody noticed."""
    counts = Counter(verdicts)
    left = {Verdict.SURVIVED, Verdict.UNREACHED}
    killed = sum(number for verdict, number in counts.items() if verdict not in left)
    lines = [f"{len(sample)} of {of} mutants tried; {killed} killed ({killed / len(sample):.0%})"]
    lines += [f"{counts[verdict]:5} {verdict}" for verdict in Verdict if counts[verdict]]
    lines += sorted(
        f"{SOURCES}/{file}:{mutation.line}: {mutation}  [{verdict}]"
        for (file, mutation), verdict in zip(sample, verdicts, strict=True)
        if verdict in left
    )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Parse the command line, try the sample, print the report and keep it."""
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("paths", nargs="*", default=PATHS, help="files and folders below src")
    parser.add_argument("--sample", type=int, default=400, help="how many changes (400); 0: all")
    parser.add_argument("--seed", type=int, default=1, help="which ones")
    parser.add_argument("--tests", nargs="+", default=TESTS, help="what may notice them")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--limit", type=float, default=120.0, help="seconds for each")
    given = parser.parse_args()
    everything = candidates(given.paths)
    sample = random.Random(given.seed).sample(  # noqa: S311 - no secret
        everything, min(given.sample or len(everything), len(everything))
    )
    began = time.monotonic()
    text = report(sample, try_out(sample, given.tests, given.workers, given.limit), len(everything))
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(text)
    print(f"{text}in {time.monotonic() - began:.0f} s; kept in {REPORT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
