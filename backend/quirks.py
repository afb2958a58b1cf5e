"""The ways of real backends that can be switched on (contract section 1, quirks 1 to 8)."""

from dataclasses import asdict, dataclass
from typing import ClassVar

from pydantic import ConfigDict


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """Which quirks are on. The default is the well-behaved backend: none.

    Attributes:
        naive_timestamps_only: quirk 1, a time with a zone is answered with MySQL's error 1292.
        integer_booleans: quirk 2, ``auto_terminate_enabled`` comes back as 1 or 0.
        foreign_zombies: quirk 3, zombies of every client in the region are listed, and a report
            changes a row whoever it belongs to.
        confirmed_replicas_return: quirk 4, a confirmed replica is listed again after each pause.
        report_moves_clock: quirk 5, a report makes ``seconds_waiting`` start again. (That it hides
            the instance for five minutes is a rule, not a quirk.)
        odd_entries: quirk 6, nulls and unknown fields in the entries, and ids that are no EC2 ids.
        database_down: quirk 7, every call of an agent is answered with 500.
        pool_limit: quirk 8, more agents' calls at once than this are answered with 500; 0: no limit.
        latency_seconds: not of the contract: each agent's call takes this much longer, so that
            tests can make calls overlap.
    """

    # Also the body of ``PUT /operator/quirks``: a misspelt quirk is an error.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    naive_timestamps_only: bool = False
    integer_booleans: bool = False
    foreign_zombies: bool = False
    confirmed_replicas_return: bool = False
    report_moves_clock: bool = False
    odd_entries: bool = False
    database_down: bool = False
    pool_limit: int = 0
    latency_seconds: float = 0.0

    @classmethod
    def parse(cls, words: list[str]) -> "Quirks":
        """Read command-line words: ``name`` switches on, ``name=number`` sets a number."""
        defaults = asdict(cls())
        values: dict[str, bool | float] = {}
        for word in words:
            name, _, number = word.replace("-", "_").partition("=")
            if name not in defaults:
                raise ValueError(f"no quirk is called {name!r}; there are {', '.join(defaults)}")
            switch = isinstance(defaults[name], bool)
            if switch == bool(number):
                raise ValueError(f"quirk {name!r} is written {name}{'' if switch else '=N'}")
            values[name] = True if switch else type(defaults[name])(number)
        return cls(**values)  # type: ignore[arg-type]  # each value is of its default's type
