"""What the media benchmark prints: medians of rounds, ratios to the bare bridge, and whether the goals are met."""

import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

BARE, OFF, ON = "bare bridge", "gateway, recording off", "gateway, recording on"

Figures = Mapping[str, float]
Results = Mapping[tuple[int, str], Figures]
"""By number of calls and name of the variant."""

_FAULTS = ("lost", "out_of_order", "lost_calls", "unasked_stops", "recording_parts_lost")
"""Counted over all rounds; of all other figures the median counts."""


@dataclass(frozen=True)
class Goal:
    """A figure and its limit; `of` tells which calls, None is all that were run."""

    what: str
    variant: str
    figure: str
    limit: float
    of: int | None = None


GOALS = (
    Goal("CPU, times the bare bridge's", OFF, "ratio", 1.25),
    Goal("CPU, times the bare bridge's", ON, "ratio", 1.4),
    *(Goal("added latency p99, ms", variant, "added_p99_ms", 1.5, 50) for variant in (OFF, ON)),
    *(Goal("added latency p99, ms", variant, "added_p99_ms", 4.0, 150) for variant in (OFF, ON)),
    *(Goal("StopAudio p99, ms", variant, "stop_p99_ms", 2.0, 50) for variant in (OFF, ON)),
    Goal("memory, KB a call", OFF, "kb_a_call", 300.0),
    Goal("memory, KB a call", ON, "kb_a_call", 1000.0),
    *(Goal("frames lost", variant, "lost", 0.0) for variant in (BARE, OFF, ON)),
)

_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("CPU ms", "cpu_ms", ".2f"),
    ("of bare", "ratio", ".2f"),
    ("calls/core", "calls_a_core", ".0f"),
    ("p50 ms", "p50_ms", ".2f"),
    ("p99", "p99_ms", ".2f"),
    ("max", "max_ms", ".1f"),
    ("added p50", "added_p50_ms", ".2f"),
    ("p99", "added_p99_ms", ".2f"),
    ("stop p50", "stop_p50_ms", ".2f"),
    ("p99", "stop_p99_ms", ".2f"),
    ("words p50", "first_words_p50_ms", ".2f"),
    ("CPU talk", "talk_cpu_ms", ".2f"),
    ("KB/call", "kb_a_call", ".0f"),
    ("lost", "lost", ".0f"),
    ("load late p99", "late_p99_ms", ".2f"),
    ("load core", "load_core_share", ".0%"),
)


def median_of(rounds: Sequence[Figures]) -> dict[str, float]:
    """Return the rounds as one."""
    return {
        name: sum(each[name] for each in rounds)
        if name in _FAULTS
        else statistics.median(each[name] for each in rounds)
        for name in rounds[0]
    }


def compared(results: Results) -> dict[tuple[int, str], dict[str, float]]:
    """Add to each variant's figures what they are beside the bare bridge's."""
    out = {}
    for (calls, variant), figures in results.items():
        bare = results.get((calls, BARE), {})
        more = {"calls_a_core": 1000 / figures["cpu_ms"]}
        if bare and variant != BARE:
            more["ratio"] = figures["cpu_ms"] / bare["cpu_ms"]
            more |= {f"added_{name}": figures[name] - bare[name] for name in ("p50_ms", "p99_ms")}
        out[calls, variant] = {**figures, **more}
    return out


def table_of(results: Results) -> list[list[str]]:
    """Return head and rows of the table, without columns that nobody has."""
    columns = [column for column in _COLUMNS if any(column[1] in figures for figures in results.values())]
    rows = [["calls", "variant", *(head for head, _, _ in columns)]]
    for (calls, variant), figures in results.items():
        cells = (format(figures[name], form) if name in figures else "" for _, name, form in columns)
        rows.append([str(calls), variant, *cells])
    return rows


def goals_of(results: Results) -> list[list[str]]:
    """Return head and rows of what was to be reached; only of what was run."""
    rows = [["goal", "variant", "calls", "limit", "measured", ""]]
    for goal in GOALS:
        for (calls, variant), figures in results.items():
            if variant == goal.variant and goal.figure in figures and goal.of in (None, calls):
                value = figures[goal.figure]
                verdict = "met" if value <= goal.limit else "MISSED"
                rows.append([goal.what, variant, str(calls), f"{goal.limit:g}", f"{value:.2f}", verdict])
    return rows


def faults_of(results: Results) -> list[str]:
    """Return what makes figures doubtful, a line each: losses, a busy machine, and a load that was late itself."""
    found = []
    for (calls, variant), figures in results.items():
        named = [f"{figures[name]:.0f} {name.replace('_', ' ')}" for name in _FAULTS if figures[name]]
        if figures["late_share"] > 0.01:
            named.append(f"{figures['late_share']:.1%} of the load's own frames over 5 ms late")
        if figures["waited_share"] > 0.01:
            named.append(f"other processes had the core for {figures['waited_share']:.1%} of the time")
        if figures["load_core_share"] > 0.9:
            named.append("the load's core was full")
        if named:
            found.append(f"{calls} calls, {variant}: {', '.join(named)}")
    return found


def rendered(rows: Sequence[Sequence[str]], *, markdown: bool) -> str:
    """Return a table for a terminal, or for a page."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    if markdown:
        head, *body = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join((head, "|" + "---|" * len(rows[0]), *body))
    lines = (
        "  ".join(
            f"{cell:<{width}}" if at < 2 else f"{cell:>{width}}"
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def machine(cores: Iterable[int]) -> str:
    """Say what it was measured on."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    models = [
        line.partition(":")[2].strip() for line in cpuinfo.splitlines() if line.startswith("model name")
    ]
    versions = ", ".join(f"{name} {version(name)}" for name in ("picows", "uvloop", "msgspec"))
    return (
        f"{os.cpu_count()} cores of {models[0] if models else platform.machine()}, {platform.platform()}, "
        f"Python {platform.python_version()}, {versions}. Process under test alone on core "
        f"{min(cores)}; load, service and blob storage share core {max(cores)}."
    )
