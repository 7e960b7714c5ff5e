"""What is given to a log call as `extra`, made visible.

Messages are constants, and what differs stands in fields. The Functions worker sends on only the formatted text
of a record, so there the fields are appended to it; the media gateway writes JSON lines.
"""

import json
import logging

_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """Return what was given as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def show_fields() -> None:
    """Let the root logger's handlers append the fields of our records to their messages."""
    for handler in logging.getLogger().handlers:
        if not any(isinstance(present, _Fields) for present in handler.filters):
            handler.addFilter(_Fields())


class _Fields(logging.Filter):
    """Appends the fields to the message, once, whatever formats it afterwards."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; let it pass."""
        fields = fields_of(record)
        if fields and record.name.startswith(("functions.", "shared.")):
            record.msg = f"{record.getMessage()} {json.dumps(fields, default=str)}"
            record.args = ()
            for name in fields:
                delattr(record, name)
        return True
