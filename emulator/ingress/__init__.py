"""What stands in front of several pods in Azure Container Apps: one port, the ready ones in turn."""

from emulator.ingress.backends import Backend
from emulator.ingress.service import Ingress
from emulator.ingress.settings import IngressSettings

__all__ = ["Backend", "Ingress", "IngressSettings"]
