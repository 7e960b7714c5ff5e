"""Speech-to-speech models behind a realtime WebSocket: OpenAI, Azure OpenAI, Azure Voice Live.

One adapter and one codec. `dialects.py` has what differs; `conversation.py` has the rules, without I/O.
"""
