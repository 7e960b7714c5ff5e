"""Prompts for ACS to fetch, where a call has no media stream to say them into.

ACS sends no credentials with a fetch, so they are public: the defaults are in everybody's copy of this package, and
a profile's sounds have names that nobody guesses. Nothing is listed.
"""

import asyncio
import hashlib
import re
from http import HTTPStatus

import azure.functions as func

from functions.http import problem, problems
from functions.process import PROCESS
from shared.core.profiles import PromptKind
from shared.errors import NotFound, TemporaryFault
from shared.prompts import default_prompt
from shared.wav import SoundUnusable

bp = func.Blueprint()

BUDGET_S = 6.0
"""Two tries of a read of storage; nothing says how long ACS waits, and a caller waits with it."""
READS_AT_ONCE = 4
"""Anybody may ask, a sound may have 6 MB, and storage has calls to serve. The others wait, within the budget."""
READS = asyncio.Semaphore(READS_AT_ONCE)
CONTENT_HASH = re.compile("[0-9a-f]{64}")
FOR_EVER = "public, max-age=31536000, immutable"
"""For sounds that are named by what they hold."""
FOR_AN_HOUR = "public, max-age=3600"
"""For the defaults: another version of this package may have others."""


@bp.function_name("prompts")
@bp.route(
    route="mg-genagent-acs/v1/prompts/{name}.wav",
    methods=["GET", "HEAD"],
    auth_level=func.AuthLevel.ANONYMOUS,
)
@problems
async def prompts(req: func.HttpRequest) -> func.HttpResponse:
    """Return a WAV file: a default prompt by its kind, or a profile's sound by the hash of its content."""
    name = req.route_params["name"]
    if name in list(PromptKind):
        content = await asyncio.to_thread(default_prompt, PromptKind(name))
        etag, caching = hashlib.sha256(content).hexdigest(), FOR_AN_HOUR
    elif CONTENT_HASH.fullmatch(name):
        try:
            content = await _sound(name)
        except TimeoutError:
            return problem(TemporaryFault("not done in time"), HTTPStatus.SERVICE_UNAVAILABLE)
        etag, caching = name, FOR_EVER
    else:
        raise NotFound("there is no such prompt")
    headers = {"ETag": f'"{etag}"', "Cache-Control": caching, "X-Content-Type-Options": "nosniff"}
    if f'"{etag}"' in req.headers.get("If-None-Match", ""):
        return func.HttpResponse(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return func.HttpResponse(content, headers=headers, mimetype="audio/wav")


async def _sound(content_hash: str) -> bytes:
    gateway = await PROCESS.gateway()
    async with asyncio.timeout(BUDGET_S), READS:
        try:
            return await gateway.connections.sounds.read(f"sounds/{content_hash}.wav")
        except SoundUnusable:
            raise NotFound("there is no such prompt") from None
