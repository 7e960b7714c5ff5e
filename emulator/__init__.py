"""ACS in a box: a local stand-in for the Azure services that the voice gateway talks to.

It shares no code with the gateway. Its wire shapes are its own, taken from the protocol's documentation and
from captured traffic, so that a wrong name cannot pass on both sides.
"""
