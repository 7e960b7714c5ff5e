"""Pytest plugins, one for each part of the system, loaded by tests/conftest.py."""
