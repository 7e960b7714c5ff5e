"""The rules in force: whom they strike, and what they hold."""

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Final

import msgspec

from emulator.faults.rules import MAX_RULES, Action, FaultRule, Pause, Status, TooManyRules, When, check_rule

MAX_THINGS: Final = 10_000
"""Things whose attempts a rule counts; beyond that the oldest are forgotten, and counted from one again."""

_DRAW_BYTES: Final = 8


@dataclass(frozen=True)
class Occasion:
    """Something that may go wrong: a request to a service, or an attempt to send a message.

    Attributes:
        operation: its name.
        part: what of the operation's kind it is about: a table, a secret, an event; may be empty.
        names: what a rule may call the call it belongs to; empty when it belongs to none.
        thing: the same in every run for the same thing, whatever happens beside it.
        about: how people know it, for example method and path.
    """

    operation: str
    part: str = ""
    names: frozenset[str] = frozenset()
    thing: str = ""
    about: str = ""

    @property
    def name(self) -> str:
        """Operation and part as rules write them."""
        return f"{self.operation}:{self.part}" if self.part else self.operation


@dataclass(eq=False)
class Held:
    """Something that is held until it is released or dropped; either works once, later ones do nothing.

    Attributes:
        occasion: what is held.
        when: whether it has been performed.
        going_on: done when it is known whether it goes on.
    """

    id: int
    occasion: Occasion
    when: When
    going_on: asyncio.Future[bool] = field(repr=False)

    def is_of(self, operation: str) -> bool:
        """Whether it is of an operation, named as in rules."""
        return fnmatchcase(self.occasion.operation, operation) or fnmatchcase(self.occasion.name, operation)

    def release(self) -> None:
        """Let it go on as if nothing had been."""
        self._end(going_on=True)

    def drop(self) -> None:
        """Reset its connection without an answer; what was held before it was performed never is."""
        self._end(going_on=False)

    def _end(self, *, going_on: bool) -> None:
        if not self.going_on.done():
            self.going_on.set_result(going_on)


@dataclass(eq=False)
class Injected:
    """A rule in force.

    Attributes:
        id: its number, the order in which rules were added.
        matched: occasions that it could have struck.
        applied: how often it has struck.
    """

    id: int
    rule: FaultRule
    matched: int = 0
    applied: int = 0
    _attempts: OrderedDict[str, int] = field(default_factory=OrderedDict, repr=False)
    _waiting: set[asyncio.Future[bool]] = field(default_factory=set, repr=False)

    @property
    def used_up(self) -> bool:
        """Whether it will not strike again."""
        return self.rule.times is not None and self.applied >= self.rule.times

    def strikes(self, occasion: Occasion, seed: int) -> "Strike | None":
        """Count an occasion, and strike it if that is due."""
        if not self.rule.matches(occasion.operation, occasion.part, occasion.names):
            return None
        self.matched += 1
        attempt = self._attempts.pop(occasion.thing, 0) + 1
        self._attempts[occasion.thing] = attempt
        if len(self._attempts) > MAX_THINGS:
            self._attempts.popitem(last=False)
        if self.matched < self.rule.nth or self.used_up:
            return None
        if drawn(seed, self.rule, occasion.thing, attempt) >= self.rule.probability:
            return None
        return Strike(self, drawn(seed, self.rule, f"{occasion.thing} within", attempt))

    def removed(self) -> asyncio.Future[bool]:
        """A future of what hangs on this rule: True once the rule is removed, False when the emulator ends."""
        waiting: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        waiting.add_done_callback(self._waiting.discard)
        return waiting

    def end_waiting(self, *, going_on: bool) -> None:
        """Let everything that hangs on this rule go on, or drop it."""
        for waiting in list(self._waiting):
            if not waiting.done():
                waiting.set_result(going_on)


@dataclass(frozen=True)
class Strike:
    """A rule that strikes an occasion.

    Attributes:
        draw: from 0 to 1, for what an action leaves to chance.
    """

    injected: Injected
    draw: float

    @property
    def action(self) -> Action:
        """What goes wrong."""
        return self.injected.rule.action


def drawn(seed: int, rule: FaultRule, thing: str, attempt: int) -> float:
    """A number from 0 to 1 that depends on nothing but the arguments, hence on no order of events."""
    text = b"\0".join([str(seed).encode(), msgspec.json.encode(rule), thing.encode(), str(attempt).encode()])
    return int.from_bytes(blake2b(text, digest_size=_DRAW_BYTES).digest()) / float(2 ** (8 * _DRAW_BYTES))


class Faults:
    """Fault rules in force; the first added of those that match and are due strikes.

    Args:
        rules: in force from the start.
        seed: of all draws.

    Raises:
        RuleRefused: one of the rules is not valid.
    """

    def __init__(self, rules: Iterable[FaultRule] = (), *, seed: int = 0) -> None:
        self._seed = seed
        self._ids = itertools.count(1)
        self._rules: list[Injected] = []
        self._held: dict[int, Held] = {}
        self._unseen: list[Held] = []
        self._changed = asyncio.Condition()
        for rule in rules:
            self.add(rule)

    def __iter__(self) -> Iterator[Injected]:
        """The rules in force and those used up lately, in the order in which they were added."""
        return iter(list(self._rules))

    def add(self, rule: FaultRule) -> Injected:
        """Put a rule into force.

        Raises:
            RuleRefused: it is not valid.
            TooManyRules: there are too many.
        """
        check_rule(rule)
        if len(self._rules) >= MAX_RULES:
            self._rules = [injected for injected in self._rules if not injected.used_up]
        if len(self._rules) >= MAX_RULES:
            raise TooManyRules(f"there are {MAX_RULES} rules already")
        injected = Injected(next(self._ids), rule)
        self._rules.append(injected)
        return injected

    def fail_next(self, operation: str, status: Status, *, times: int = 1) -> Injected:
        """Let the next requests of an operation fail: `add` for the usual case."""
        return self.add(FaultRule(operation, status, times=times))

    def hold_next(self, operation: str, *, when: When = When.BEFORE, call: str | None = None) -> Injected:
        """Hold the next request of an operation; `held` then waits for it."""
        return self.add(FaultRule(operation, Pause(when=when), call=call, times=1))

    def remove(self, injected: Injected) -> None:
        """Put a rule out of force; what hangs on it goes on, what it holds stays held."""
        if injected in self._rules:
            self._rules.remove(injected)
        injected.end_waiting(going_on=True)

    def clear(self) -> None:
        """Put all rules out of force; everything that hangs or is held goes on."""
        for injected in list(self._rules):
            self.remove(injected)
        for held in list(self._held.values()):
            held.release()

    def close(self) -> None:
        """Drop everything that hangs or is held, and let nothing else go wrong: the end."""
        rules, self._rules = self._rules, []
        for injected in rules:
            injected.end_waiting(going_on=False)
        for held in list(self._held.values()):
            held.drop()

    def find(self, rule_id: int) -> Injected | None:
        """The rule of this id."""
        return next((injected for injected in self._rules if injected.id == rule_id), None)

    def take(self, occasion: Occasion) -> Strike | None:
        """The rule that strikes an occasion, if any; to be asked once for each."""
        # Each rule counts all that it matches, whichever strikes.
        strikes = [injected.strikes(occasion, self._seed) for injected in self._rules]
        strike = next((strike for strike in strikes if strike is not None), None)
        if strike is not None:
            strike.injected.applied += 1
        return strike

    async def hold(self, occasion: Occasion, when: When) -> bool:
        """Hold an occasion; True when it is to go on, False when it is to be dropped."""
        held = Held(next(self._ids), occasion, when, asyncio.get_running_loop().create_future())
        self._held[held.id] = held
        self._unseen.append(held)
        async with self._changed:
            self._changed.notify_all()
        try:
            return await held.going_on
        finally:
            del self._held[held.id]
            if held in self._unseen:
                self._unseen.remove(held)

    def all_held(self, operation: str = "*") -> list[Held]:
        """Everything of an operation that is held now, the oldest first."""
        return [held for held in self._held.values() if held.is_of(operation)]

    async def until_held(self, operation: str = "*") -> None:
        """Wait until something of an operation is held."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.all_held(operation))

    def find_held(self, held_id: int) -> Held | None:
        """What is held under this id."""
        return self._held.get(held_id)

    async def held(self, operation: str = "*", *, within_seconds: float = 10.0) -> Held:
        """Wait until something is held that was not given out before.

        Args:
            operation: as in rules, with or without a part; `*` stands for any characters.
            within_seconds: how long to wait.

        Raises:
            TimeoutError: nothing was held in time.
        """

        def unseen() -> list[Held]:
            return [held for held in self._unseen if held.is_of(operation)]

        async with asyncio.timeout(within_seconds), self._changed:
            found = (await self._changed.wait_for(unseen))[0]
            self._unseen.remove(found)
            return found
