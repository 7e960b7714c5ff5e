"""The doctor's checks, by what they look at; `catalogue.py` puts them in order."""
