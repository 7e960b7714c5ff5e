"""Errors in the shape in which Web PubSub answers them."""

from aiohttp import web


class PubSubError(Exception):
    """A refusal by Web PubSub.

    Attributes:
        status: the HTTP status.
        code: a word.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def refused(error: PubSubError, headers: dict[str, str] | None = None) -> web.Response:
    """The answer: an object of the code and the message, not wrapped as in other services."""
    return web.json_response(
        {"code": error.code, "message": str(error)}, status=error.status, headers=headers
    )
