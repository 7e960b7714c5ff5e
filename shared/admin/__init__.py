"""The operator's command line: `python -m shared.admin`. One file a subject; `__main__` puts them together."""
