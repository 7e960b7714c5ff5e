"""Names of every operation of Web PubSub that is emulated."""

from typing import Final

CONNECT: Final = "connect"
RECOVER: Final = "recover"

OPERATIONS: Final = (
    "addConnectionToGroup",
    "addUserToGroup",
    "closeAllConnections",
    "closeConnection",
    "closeGroupConnections",
    "closeUserConnections",
    "connectionExists",
    "generateToken",
    "grantPermission",
    "groupExists",
    "hasPermission",
    "listConnections",
    "removeConnectionFromAllGroups",
    "removeConnectionFromGroup",
    "removeUserFromAllGroups",
    "removeUserFromGroup",
    "revokePermission",
    "sendToAll",
    "sendToConnection",
    "sendToGroup",
    "sendToUser",
    "userExists",
    CONNECT,
    RECOVER,
)
"""Requests of servers, as the Python package calls them; and clients that open a socket, anew or once more."""

DELIVER: Final = "deliver"
"""A message on its way to one client."""
