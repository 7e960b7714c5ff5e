"""Runs one command: `python -m shared.admin SUBJECT COMMAND ...`.

It works with the settings of the environment, and with the rights of whoever runs it.
"""

import argparse
import sys

from shared.admin import accounts, doctor, flow, identity, ivr, keys, numbers, profiles
from shared.config import SettingsInvalid
from shared.errors import GatewayError
from shared.yaml_file import YamlFileInvalid

SUBJECTS = (accounts, profiles, numbers, keys, flow, ivr, identity, doctor)
"""Each adds its commands to the parser; a command is a function of the arguments that returns the exit status."""


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit status: 0 done, 1 failed, 2 asked wrongly or not configured."""
    parser = argparse.ArgumentParser(prog="python -m shared.admin", description="Operate the voice gateway.")
    subjects = parser.add_subparsers(required=True)
    for subject in SUBJECTS:
        subject.add_commands(subjects)
    arguments = parser.parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except (SettingsInvalid, YamlFileInvalid) as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        return 2
    except GatewayError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
