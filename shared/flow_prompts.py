"""Prompts of a flow document: a text, a part, a list of parts, or one of these for each language.

Shape is the schema's business; what is here may rely on it.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any
from xml.etree import ElementTree as ET

from shared.core.flow_model import MAX_SSML_CHARS, MAX_TEXT_CHARS, Part, PartKind
from shared.core.flow_texts import TemplateInvalid, longest_spoken, names_in, spoken
from shared.gateway_document import Place

PROMPTS = ("prompt", "no_input", "no_match")
_MAIN = tuple(kind.value for kind in PartKind)


def prompts_of(step: Mapping[str, Any]) -> Iterator[tuple[Place, Any]]:
    """Yield (place, prompt) of each prompt of a step."""
    for name in PROMPTS:
        if name in step:
            yield (name,), step[name]


def texts_of(prompt: Any) -> Iterator[tuple[Place, str]]:
    """Yield (place, template) of each text and SSML."""
    for place, _, part in _parts(prompt):
        if isinstance(part, str):
            yield place, part
        else:
            for kind in (PartKind.TEXT, PartKind.SSML):
                if kind in part:
                    yield (*place, kind.value), part[kind]


def sounds_of(prompt: Any) -> Iterator[tuple[Place, str]]:
    """Yield (place, name) of each WAV file."""
    for place, _, part in _parts(prompt):
        if isinstance(part, dict) and PartKind.WAV in part:
            yield (*place, PartKind.WAV.value), part[PartKind.WAV]


def prompt_faults(prompt: Any, languages: Collection[str]) -> Iterator[tuple[Place, str]]:
    """Yield (place, text) of each fault."""
    if _is_by_language(prompt):
        yield from language_faults(prompt, languages)
    for place, language, part in _parts(prompt):
        own = part.get("language") if isinstance(part, dict) else None
        if own is not None and own not in languages:
            yield (*place, "language"), f"there is no language '{own}'"
        if own is None and language is None and len(languages) > 1:
            yield place, "is for no language, and the flow has several"
        if isinstance(part, dict) and not any(kind in part for kind in _MAIN):
            yield place, "has neither text, ssml nor wav"
        if isinstance(part, dict) and PartKind.TEXT in part and PartKind.SSML in part:
            yield place, "has text and ssml: one of them"
    for place, template in texts_of(prompt):
        if fault := _text_fault(template, is_ssml=place[-1:] == (PartKind.SSML.value,)):
            yield place, fault


def language_faults(
    by_language: Mapping[str, Any], languages: Collection[str]
) -> Iterator[tuple[Place, str]]:
    """Yield (place, text) of each language that is missing, or that there is not."""
    missing = [language for language in languages if language not in by_language]
    if missing:
        yield (), f"has nothing for {', '.join(missing)}"
    for language in by_language:
        if language not in languages:
            yield (language,), f"there is no language '{language}'"


def to_prompt(prompt: Any, languages: Collection[str]) -> dict[str, list[Part]]:
    """Return a prompt without faults as what is said in each language."""
    said: dict[str, list[Part]] = {language: [] for language in languages}
    for _, language, part in _parts(prompt):
        for target in languages if language is None else (language,):
            said[target].append(_to_part(part, target))
    return said


def _is_by_language(prompt: Any) -> bool:
    return isinstance(prompt, dict) and not any(kind in prompt for kind in _MAIN)


def _parts(prompt: Any) -> Iterator[tuple[Place, str | None, Any]]:
    """Yield (place, language, part); the language is None where the prompt is not given by language."""
    by_language = prompt if _is_by_language(prompt) else {None: prompt}
    for language, said in by_language.items():
        place: Place = () if language is None else (language,)
        if isinstance(said, list):
            yield from (((*place, index), language, part) for index, part in enumerate(said))
        else:
            yield place, language, said


def _to_part(part: Any, language: str) -> Part:
    if isinstance(part, str):
        return Part(PartKind.TEXT, part, language)
    kind = next(kind for kind in PartKind if kind in part)
    wav = part.get(PartKind.WAV) if kind is not PartKind.WAV else None
    return Part(kind, part[kind], part.get("language", language), wav)


def _text_fault(template: str, *, is_ssml: bool) -> str | None:
    try:
        longest, names = longest_spoken(template, ssml=is_ssml), names_in(template)
    except TemplateInvalid as invalid:
        return str(invalid)
    limit = MAX_SSML_CHARS if is_ssml else MAX_TEXT_CHARS
    if longest > limit:
        return f"has {longest} characters with its values at their longest, and may have {limit}"
    return _ssml_fault(spoken(template, dict.fromkeys(names, "&"), ssml=True)) if is_ssml else None


def _ssml_fault(ssml: str) -> str | None:
    """Values are put in as `&amp;`, which XML takes in texts and attributes, and in no name."""
    if "<!" in ssml:
        return "has a declaration or a comment; SSML goes without"
    try:
        root = ET.fromstring(ssml)  # noqa: S314 - the operator's own, and without entities of its own
    except ET.ParseError as error:
        return f"is not XML: {error}"
    return None if root.tag.rpartition("}")[2] == "speak" else "is no <speak> document"
