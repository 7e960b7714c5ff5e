"""Sentiment and key phrases of a finished transcript, where a profile wants them; see `docs/analysis.md`."""
