"""Misbehaviour on purpose: rules say what is to go wrong, and every emulated service asks them."""

from emulator.faults.registry import Faults, Held, Injected
from emulator.faults.rules import (
    Cut,
    Delay,
    FaultRule,
    Hang,
    Pause,
    Reset,
    RuleRefused,
    Status,
    TooManyRules,
    When,
    read_rule,
)

__all__ = [
    "Cut",
    "Delay",
    "FaultRule",
    "Faults",
    "Hang",
    "Held",
    "Injected",
    "Pause",
    "Reset",
    "RuleRefused",
    "Status",
    "TooManyRules",
    "When",
    "read_rule",
]
