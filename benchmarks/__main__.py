"""Measures the function beside its peers: `python -m benchmarks [POINT...] [--quick]`.

Measures the points one after another, keeps their figures in docs/performance/results.json beside
those of points that are not measured now, draws the plots and writes docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import before, plots, points, report, servers
from benchmarks.bench import Bench
from benchmarks.settings import PAGE, PLOTS, RESULTS
from tests.support import built as artifact


def main() -> None:
    """Measure, keep, draw, render."""
    # As after an interrupt: every block is left, and what it has started ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    wanted = _arguments()
    results = _kept()
    if not wanted.render:
        built = artifact.build()
        with servers.running() as running:
            bench = Bench(running, built, before.build(), wanted.quick)
            for name in wanted.points or points.ALL:
                found, load = _measured(name, bench)
                if not wanted.quick:  # it only shows that everything works
                    results = _kept()  # another point may have been measured meanwhile
                    results["points"][name] = {"found": found, "measured": _machine() | load}
                    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    if wanted.quick:
        return
    for name, figures in results["points"].items():
        figures["plots"] = plots.draw(name, figures["found"], PLOTS)
        figures["goals"] = [g.as_result() for g in points.ALL[name].goals(figures["found"])]
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    PAGE.write_text(report.render(results))
    print(f"{PAGE.name} is written")


def _measured(name: str, bench: Bench) -> tuple[dict[str, Any], dict[str, float]]:
    """One point's figures, as they come back from JSON, and the machine's load; says what came of its goals."""
    began, load = time.monotonic(), os.getloadavg()[0]
    found: dict[str, Any] = json.loads(json.dumps(points.ALL[name].measure(bench)))
    took = time.monotonic() - began
    print(f"{name}: {took:.0f} s")
    for goal in points.ALL[name].goals(found):
        what, limit, measured, verdict = goal.row()
        print(f"  {what}: {measured} ({limit}): {verdict}", flush=True)
    return found, {"seconds": round(took), "load before": load}


def _kept() -> dict[str, Any]:
    """The results so far."""
    if not RESULTS.exists():
        return {"points": {}}
    kept: dict[str, Any] = json.loads(RESULTS.read_text())
    return kept


def _machine() -> dict[str, Any]:
    """What the seconds depend on; nothing that names this machine."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": models[0] if models else platform.processor() or "unknown",
        "cpus": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": artifact.PYTHON_VERSION,
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("points", nargs="*", help=f"of {', '.join(points.ALL)}; default: all")
    parser.add_argument("--quick", action="store_true", help="only see that it works; keep nothing")
    parser.add_argument("--render", action="store_true", help="only draw and write the page anew")
    wanted = parser.parse_args()
    if unknown := set(wanted.points) - set(points.ALL):
        parser.error(f"no such point: {', '.join(sorted(unknown))}")
    return wanted


if __name__ == "__main__":
    main()
