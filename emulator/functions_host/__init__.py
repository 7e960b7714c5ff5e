"""A Functions host for the local stack: serves a Python v2 app as the real host and worker do: HTTP and timers."""

from emulator.functions_host.host import FunctionsHost, Keys
from emulator.functions_host.settings import ProjectError

__all__ = ["FunctionsHost", "Keys", "ProjectError"]
