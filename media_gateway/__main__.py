"""`python -m media_gateway`: settings from the environment, until SIGTERM or SIGINT."""

import sys

import uvloop

from media_gateway.logs import set_up_logs
from media_gateway.runtime import serve
from shared.config import SettingsInvalid, media_settings


def main() -> int:
    """Run the media gateway and return its exit code."""
    try:
        settings = media_settings()
        set_up_logs(settings.log_level)
        uvloop.run(serve(settings))
    except SettingsInvalid as invalid:
        for fault in invalid.faults:
            print(f"media_gateway: {fault}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"media_gateway: cannot listen on {settings.host}:{settings.port}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
