"""Accounts, tokens, keys, and ACS's own JWT."""
