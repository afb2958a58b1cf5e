"""A process that has collected the tests; each mutant gets a fork of it, in which the changed functions take effect."""

from __future__ import annotations

import gc
import inspect
import os
import select
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType, FunctionType

import pytest
from _pytest.main import pytest_runtestloop


class Server:
    """A plugin of pytest's: instead of running the tests it waits for orders, and answers with exit codes.

    An order is a changed file and the tests to run, by their ids without parameters, in this order, and the
    seconds that they may take. The answer is 0 where all pass, None where the time was up.
    """

    def __init__(self, orders: Connection) -> None:
        self._orders = orders

    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Serve until the other side hangs up; never returns."""
        by_id: dict[str, list[pytest.Item]] = {}
        for item in session.items:
            by_id.setdefault(item.nodeid.partition("[")[0], []).append(item)
        self._orders.send(0)
        while (order := _next(self._orders)) is not None:
            file, tests, limit = order
            if (child := os.fork()) == 0:
                session.items = [item for test in tests for item in by_id[test]]
                _run(session, file)
            self._orders.send(_waited(child, limit))
        os._exit(0)


def _next(orders: Connection) -> tuple[Path, list[str], float] | None:
    try:
        order: tuple[Path, list[str], float] = orders.recv()
    except EOFError:
        return None
    return order


def _run(session: pytest.Session, file: Path) -> None:
    """In the fork: never returns."""
    code = 1
    try:
        put_in_place(file)
        pytest_runtestloop(session)
        code = int(session.testsfailed > 0)
    except (session.Failed, session.Interrupted):
        pass
    finally:
        session.config.hook.pytest_sessionfinish(
            session=session, exitstatus=code
        )  # stops what fixtures started
        os._exit(code)


def _waited(child: int, limit: float) -> int | None:
    ended = os.pidfd_open(child)
    try:
        if not select.select([ended], [], [], limit)[0]:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        os.close(ended)


def put_in_place(file: Path) -> None:
    """Have the functions of a module that was imported do what its file says now; nothing else of it changes."""
    new: dict[str, list[CodeType]] = {}
    for code in _functions(compile(file.read_text(), str(file), "exec", dont_inherit=True)):
        new.setdefault(code.co_qualname, []).append(code)
    old: dict[str, list[FunctionType]] = {}
    gc.unfreeze()  # what is frozen (tests/conftest.py) is not shown
    for one in gc.get_objects():
        if isinstance(one, FunctionType) and one.__code__.co_filename == str(file):
            old.setdefault(one.__code__.co_qualname, []).append(one)
    for name, codes in new.items():
        places = sorted({one.__code__.co_firstlineno for one in old.get(name, ())})
        left = codes[-len(places) :]  # of several under one name the last ones are left
        for one in old.get(name, ()):
            one.__code__ = left[places.index(one.__code__.co_firstlineno)]


def _functions(code: CodeType) -> Iterator[CodeType]:
    """The outermost functions of a module and its classes."""
    for one in code.co_consts:
        if isinstance(one, CodeType) and "<" not in one.co_qualname:
            if one.co_flags & inspect.CO_NEWLOCALS:  # a function's, not a class's
                yield one
            else:
                yield from _functions(one)
