"""Voice agents, one adapter a file, behind the contract of `contract.py`."""
