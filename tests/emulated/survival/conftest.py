"""The table of all rows that ran: printed at the end, and kept in `out/survival.md`."""

from pathlib import Path

from tests.emulated.survival.rows import PROPERTY, table

KEPT = Path(__file__).resolve().parents[3] / "out" / "survival.md"


def pytest_terminal_summary(terminalreporter):
    reports = [
        report for each in ("passed", "failed", "xfailed") for report in terminalreporter.getreports(each)
    ]
    rows = [value for report in reports for name, value in report.user_properties if name == PROPERTY]
    if rows:
        text = table(rows)
        KEPT.parent.mkdir(exist_ok=True)
        KEPT.write_text(text + "\n")
        terminalreporter.section("how long callers waited")
        terminalreporter.write_line(text)
