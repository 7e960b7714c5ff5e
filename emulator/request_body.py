"""Reading the body of a request to one of the emulated services."""

from aiohttp import web


class BodyRefused(Exception):
    """The body cannot be read; the text says why.

    Attributes:
        status: the HTTP status to answer.
        code: a word for an error answer.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


async def read_body(request: web.Request) -> bytes:
    """The body, decompressed.

    Raises:
        BodyRefused: it is longer than the server takes (1 MiB), or not encoded as it says.
    """
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise BodyRefused(413, "RequestEntityTooLarge", "The request's body is too large.") from None
    except web.RequestPayloadError:
        raise BodyRefused(400, "BadRequest", "The request's body cannot be decoded.") from None
