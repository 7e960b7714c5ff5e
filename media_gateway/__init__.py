"""The Container App: holds each call's media WebSocket and bridges it to the call's agent."""
