"""What is kept of one call: both tracks, the words, and the timeline."""

from media_gateway.agents.contract import Role


class CallRecording:
    """Filled in when the recorder is there."""

    def said(self, role: Role, text: str, item_id: str) -> None:
        """Write down final words."""

    def switch(self, *, on: bool) -> None:
        """Pause, or go on."""

    def note(self, event: str, detail: str) -> None:
        """Put something on the timeline."""
