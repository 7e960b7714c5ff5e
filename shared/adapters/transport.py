"""How the SDKs' clients reach out."""

from typing import Any
from urllib.request import getproxies


def transport_options() -> dict[str, Any]:
    """Return options for the constructor of any SDK's client.

    By default the transport looks for proxies and for a netrc file before every request, in two hops to a thread:
    a tenth of all the CPU of an answer. Whether there are proxies at all shows at the start.
    """
    return {"use_env_settings": bool(getproxies())}
