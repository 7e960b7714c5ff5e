"""Logs as JSON lines on standard error, one object each, for a platform that collects them."""

import json
import logging
import sys
from datetime import UTC, datetime

from shared.logs import fields_of


class JsonLines(logging.Formatter):
    """Writes time, level, logger, message, and what was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(fields_of(record))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up_logs(level: str) -> None:
    """Log to standard error from `level` up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Azure's SDKs log every request, and picows every connection; at its debug level also URLs with tokens.
    for name in ("azure", "picows"):
        logging.getLogger(name).setLevel(logging.WARNING)
