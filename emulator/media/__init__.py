"""The audio of emulated calls: the caller's line and the media WebSocket to the gateway."""
