"""Thin shells over SDKs; nothing else in the package touches a network."""
