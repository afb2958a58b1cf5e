"""A share of a cpu for a process, as Lambda gives it with the memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL_CPU_MB = 1769
"""Memory at which a function has one whole cpu (AWS, "Configure Lambda function memory")."""
PERIOD = 20_000
"""Microseconds. Linux' default is 100,000; with fewer, a short run meets its share sooner."""
_VERSION_1 = Path("/sys/fs/cgroup/cpu")
_VERSION_2 = Path("/sys/fs/cgroup")


def available() -> bool:
    """Whether this process may limit the cpu of others: as root, with a cgroup that is writable."""
    try:
        with _group() as group:
            _limit(group, 1769)
    except OSError:
        return False
    return True


@contextmanager
def cpu_of(memory: int, pid: int) -> Iterator[None]:
    """Let the process have the cpu of so many MB of memory while the block runs."""
    with _group() as group:
        _limit(group, memory)
        (group / "cgroup.procs").write_text(str(pid))
        try:
            yield
        finally:
            (group.parent / "cgroup.procs").write_text(str(pid))


@contextmanager
def _group() -> Iterator[Path]:
    root = _VERSION_1 if _VERSION_1.is_dir() else _VERSION_2
    group = root / f"spot-cleanup-bench-{os.getpid()}"
    group.mkdir(exist_ok=True)
    try:
        yield group
    finally:
        group.rmdir()


def _limit(group: Path, memory: int) -> None:
    quota = round(PERIOD * min(memory / FULL_CPU_MB, 1))
    if (group / "cpu.cfs_period_us").exists():
        (group / "cpu.cfs_period_us").write_text(str(PERIOD))
        (group / "cpu.cfs_quota_us").write_text(str(quota))
    else:
        (group / "cpu.max").write_text(f"{quota} {PERIOD}")
