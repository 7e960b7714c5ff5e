"""The app's edges, in memory."""

import logging

import pytest

from tests.fuzz.world import Edges


@pytest.fixture
def edges(monkeypatch):
    """The app's functions; what they log is not kept, for it would fill the memory."""
    logging.disable(logging.CRITICAL)
    made = Edges(monkeypatch)
    yield made
    made.close()
    logging.disable(logging.NOTSET)
