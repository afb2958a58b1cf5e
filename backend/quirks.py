"""The ways of real backends that can be switched on (contract section 1, quirks 1 to 12)."""

from dataclasses import asdict, dataclass, replace
from typing import ClassVar

from pydantic import ConfigDict


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """Which quirks are on. The default is the well-behaved backend: none.

    Attributes:
        naive_timestamps_only: quirk 1, a time with a zone is answered with MySQL's error 1292.
        integer_booleans: quirk 2, ``auto_terminate_enabled`` comes back as 1 or 0.
        foreign_zombies: quirk 3, every zombie of the region is listed to every agent, and a report
            changes a row whoever it belongs to.
        confirmed_replicas_return: quirk 4, a confirmed replica is listed again after each pause,
            and ``seconds_since_marked`` counts from the ``terminated_at`` that was last reported.
        report_moves_clock: quirk 5, a report, whoever makes it and about any row, makes
            ``seconds_waiting`` start again. (That it hides the instance for five minutes is a rule,
            not a quirk.)
        odd_entries: quirk 6, nulls and unknown fields in the entries, and ids that are no EC2 ids.
        placeholders: quirk 6, replicas that were never launched are listed, for ever.
        listed_twice: quirk 6, an instance that stands in both tables is listed as both.
        seconds_off: quirk 6, what a database that is not in UTC adds to the seconds of each entry;
            they may become negative.
        null_switch: quirk 6, ``auto_terminate_enabled`` is null where it is off.
        database_down: quirk 7, every call of an agent is answered with 500.
        pool_limit: quirk 8, more agents' calls at once than this are answered with 500; 0: no limit.
        event_lost_every: quirk 8, row and event are committed separately, and each n-th report
            is answered with 500 in between; 0: one transaction.
        strangers_report: quirk 9, a report of an agent that is unknown, or another client's, is
            recorded with 200.
        events_without_id: quirk 9, an event's ``instance_id`` is NULL, the id stands in ``metadata``.
        promoted_replicas_marked: quirk 10, "auto-switch on" and "delete agent" mark promoted
            replicas as terminated, too.
        pricing_moves_clock: quirk 11, a pricing report makes ``seconds_waiting`` start again.
        new_agent_each_switch: quirk 12, the new primary of a promotion is a new agent's.
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
    placeholders: bool = False
    listed_twice: bool = False
    seconds_off: float = 0.0
    null_switch: bool = False
    database_down: bool = False
    pool_limit: int = 0
    event_lost_every: int = 0
    strangers_report: bool = False
    events_without_id: bool = False
    promoted_replicas_marked: bool = False
    pricing_moves_clock: bool = False
    new_agent_each_switch: bool = False
    latency_seconds: float = 0.0

    @property
    def any_row(self) -> bool:
        """Whether a report changes rows of other agents and clients."""
        return self.foreign_zombies or self.report_moves_clock

    @classmethod
    def parse(cls, words: list[str]) -> "Quirks":
        """Read command-line words, one after the other.

        ``name`` switches on, ``name=number`` sets a number, ``all_quirks`` is the combination.
        """
        defaults = asdict(cls())
        parsed = cls()
        for word in words:
            name, _, number = word.replace("-", "_").partition("=")
            if name == "all_quirks" and not number:
                parsed = ALL_QUIRKS
                continue
            if name not in defaults:
                raise ValueError(f"no quirk is called {name!r}; there are {', '.join(defaults)}")
            switch = isinstance(defaults[name], bool)
            if switch == bool(number):
                raise ValueError(f"quirk {name!r} is written {name}{'' if switch else '=N'}")
            # Each value is of its default's type.
            value = True if switch else type(defaults[name])(number)
            parsed = replace(parsed, **{name: value})
        return parsed


ALL_QUIRKS = Quirks(
    naive_timestamps_only=True,
    integer_booleans=True,
    foreign_zombies=True,
    confirmed_replicas_return=True,
    report_moves_clock=True,
    odd_entries=True,
    placeholders=True,
    listed_twice=True,
    null_switch=True,
    pool_limit=30,
    event_lost_every=7,
    strangers_report=True,
    events_without_id=True,
    promoted_replicas_marked=True,
    pricing_moves_clock=True,
    new_agent_each_switch=True,
)
"""The original backend on a usual day: all at once, but for a database that is down or not in UTC."""
