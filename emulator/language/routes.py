"""Azure AI Language: `POST /language/:analyze-text`, for sentiment and key phrases."""

import unicodedata
from typing import Any, Final

import msgspec
from aiohttp import web

from emulator.faults.gate import Gate
from emulator.faults.operations import LANGUAGE_PREFIX
from emulator.faults.registry import Occasion
from emulator.faults.rules import Status
from emulator.language.operations import ANALYZE_SENTIMENT, OF_KINDS
from emulator.language.reading import LANGUAGES, key_phrases_of, sentiment_of
from emulator.request_body import BodyRefused, read_body
from emulator.wire.json_text import NotJson, decode_json

PATH: Final = "/language/:analyze-text"
API_VERSION: Final = "2023-04-01"
MODEL_VERSION: Final = "2025-01-01"
MAX_DOCUMENTS: Final = 10
"""Of one request, of either kind."""
MAX_TEXT_ELEMENTS: Final = 5120
"""Of one document."""
DEFAULT_LANGUAGE: Final = "en"

_BEARER: Final = "Bearer "
_KEY_HEADER: Final = "Ocp-Apim-Subscription-Key"


class LanguageError(Exception):
    """A refusal by the service.

    Attributes:
        status: the HTTP status.
        code: the service's word.
        inner_code: a closer one; none when None.
    """

    def __init__(self, status: int, code: str, message: str, inner_code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.inner_code = inner_code

    def shown(self) -> dict[str, Any]:
        """As the service shows it."""
        error: dict[str, Any] = {"code": self.code, "message": str(self)}
        if self.inner_code is not None:
            error["innererror"] = {"code": self.inner_code, "message": str(self)}
        return error


class _Document(msgspec.Struct):
    id: str
    text: str
    language: str = ""


class _Input(msgspec.Struct):
    documents: list[_Document]


class _Parameters(msgspec.Struct, rename="camel"):
    logging_opt_out: bool = False
    opinion_mining: bool = False


class _Request(msgspec.Struct, rename="camel"):
    kind: str
    analysis_input: _Input
    parameters: _Parameters = msgspec.field(default_factory=_Parameters)


class LanguageApi:
    """The route over how texts are read.

    Args:
        gate: where requests are remembered, and struck by faults.
        key: that lets in; used as text.
        entra_token: bearer token that does too; none does when None.
    """

    def __init__(self, gate: Gate, *, key: str, entra_token: str | None) -> None:
        self._gate = gate
        self._key = key
        self._entra_token = entra_token

    def routes(self) -> list[web.RouteDef]:
        """Its one route."""
        return [web.post(PATH, self._analyze)]

    async def _analyze(self, request: web.Request) -> web.StreamResponse:
        try:
            body = await read_body(request)
            self._authenticate(request)
            wanted = _read(request, body)
        except BodyRefused as refusal:
            return _refused(LanguageError(refusal.status, refusal.code, str(refusal)))
        except LanguageError as error:
            return _refused(error)

        async def perform() -> web.Response:
            return web.json_response(_results(wanted))

        operation = LANGUAGE_PREFIX + OF_KINDS[wanted.kind]
        occasion = Occasion(operation, thing=operation, about=f"{request.method} {request.path}")
        return await self._gate.answer(request, occasion, perform, _fault)

    def _authenticate(self, request: web.Request) -> None:
        token = request.headers.get("Authorization", "")
        if token.startswith(_BEARER) and self._entra_token is not None:
            is_known = token.removeprefix(_BEARER) == self._entra_token
        else:
            is_known = request.headers.get(_KEY_HEADER) == self._key
        if not is_known:
            raise LanguageError(401, "401", "Access denied due to invalid subscription key or token.")


def _read(request: web.Request, body: bytes) -> _Request:
    """What is wanted; a document of its own may still be refused."""
    if request.query.get("api-version") != API_VERSION:
        raise LanguageError(400, "InvalidRequest", f"Only the api-version {API_VERSION} is emulated.")
    try:
        wanted = msgspec.convert(decode_json(body), _Request)
    except (NotJson, msgspec.ValidationError) as error:
        raise _invalid("InvalidRequestBodyFormat", f"The body cannot be read: {error}.") from None
    if wanted.kind not in OF_KINDS:
        raise LanguageError(
            501, "NotImplemented", f"The kind is none of those emulated: {', '.join(OF_KINDS)}."
        )
    if wanted.parameters.opinion_mining:
        raise LanguageError(501, "NotImplemented", "opinionMining is not emulated.")
    documents = wanted.analysis_input.documents
    if not documents:
        raise _invalid("MissingInputDocuments", "There are no documents.")
    if len(documents) > MAX_DOCUMENTS:
        raise _invalid("InvalidDocumentBatch", f"There are more than {MAX_DOCUMENTS} documents.")
    if len({document.id for document in documents}) < len(documents):
        raise _invalid("InvalidDocumentBatch", "Two documents have the same id.")
    return wanted


def _results(wanted: _Request) -> dict[str, Any]:
    """The answer: what is said of each document, or why nothing."""
    read, refused = [], []
    for document in wanted.analysis_input.documents:
        try:
            _check(document)
        except LanguageError as error:
            refused.append({"id": document.id, "error": error.shown()})
            continue
        found = (
            sentiment_of(document.text)
            if OF_KINDS[wanted.kind] == ANALYZE_SENTIMENT
            else {"keyPhrases": key_phrases_of(document.text)}
        )
        read.append({"id": document.id, **found, "warnings": []})
    return {
        "kind": f"{wanted.kind}Results",
        "results": {"documents": read, "errors": refused, "modelVersion": MODEL_VERSION},
    }


def _check(document: _Document) -> None:
    """Refuse a document by itself: the others of its request are read."""
    if not document.text.strip():
        raise _bad_document("InvalidDocument", "Document text is empty.")
    if _text_elements(document.text) > MAX_TEXT_ELEMENTS:
        raise _bad_document("InvalidDocument", f"Limit document size to: {MAX_TEXT_ELEMENTS} text elements.")
    if (document.language or DEFAULT_LANGUAGE).lower() not in LANGUAGES:
        raise _bad_document("UnsupportedLanguageCode", "Invalid language code.")


def _text_elements(text: str) -> int:
    """How many characters people see: marks belong to the letter before them."""
    return sum(not unicodedata.category(character).startswith("M") for character in text)


def _bad_document(inner_code: str, message: str) -> LanguageError:
    return LanguageError(400, "InvalidArgument", message, inner_code)


def _invalid(inner_code: str, message: str) -> LanguageError:
    return LanguageError(400, "InvalidRequest", message, inner_code)


def _fault(fault: Status) -> web.Response:
    return _refused(
        LanguageError(fault.status, fault.code or str(fault.status), fault.message), fault.headers()
    )


def _refused(error: LanguageError, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": error.shown()}, status=error.status, headers=headers)
