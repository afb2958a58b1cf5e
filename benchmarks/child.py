"""A process in which something is measured: takes orders on its input, answers on a pipe.

    python -m benchmarks.child MODULE PIPE

MODULE has `prepare() -> Callable[[], object]`: what it returns is called and measured. Its standard
output is whoever started it to keep: that is where the handler writes its log.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path


def main() -> None:
    """Prepare, say so, then serve orders until the input ends."""
    module, pipe = sys.argv[1], int(sys.argv[2])
    with os.fdopen(pipe, "w", buffering=1) as answers:
        act = importlib.import_module(module).prepare()
        answers.write("{}\n")
        for order in sys.stdin:
            walls, cpus, returned = [], [], None
            times, pause = order.split()
            for _ in range(int(times)):
                time.sleep(float(pause))
                cpu, wall = time.process_time(), time.perf_counter()
                returned = act()
                walls.append(time.perf_counter() - wall)
                cpus.append(time.process_time() - cpu)
            answer = {"walls": walls, "cpus": cpus, "returned": returned, "peak": _peak()}
            answers.write(json.dumps(answer) + "\n")


def _peak() -> int:
    """Bytes of memory at the most, of this program only.

    `ru_maxrss` would begin with the memory of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
