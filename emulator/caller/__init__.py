"""A caller on the command line: places one call by the phone socket and reports how it went."""
