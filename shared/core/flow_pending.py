"""What is to be done at a place of a flow: a function of flow and state alone, so that a restart can ask again."""

import hashlib
from collections.abc import Mapping, Sequence

from shared.core.flow_actions import Action, CallHttp, HangUpCall, Play, Recognise, Source, TransferCall
from shared.core.flow_events import Failure
from shared.core.flow_model import Ask, Choice, Digits, Flow, Http, Part, PartKind, Prompt, Say, Transfer
from shared.core.flow_state import FlowOutcome, FlowState
from shared.core.flow_texts import filled, names_in, spoken
from shared.core.profiles import MAX_SOUND_S
from shared.core.transfers import TransferContext, what_fits

SPARE_S = 20
"""Beyond the time that an action itself may take: then its callback is lost. It is not for slow callers."""
SLOWEST_CHARS_A_SECOND = 5
LONGEST_SPEECH_S = 120

_ONE_KEY = Digits(min=1, max=1)


def pending(flow: Flow, state: FlowState) -> Action | None:
    """Return the action that the call waits for; None: it waits for none, or nothing can be done here.

    The same flow and state give the same action, id included: after a crash it may be sent again.
    """
    if state.outcome in (FlowOutcome.HUNG_UP, FlowOutcome.BROKEN):
        return HangUpCall(state.action_id, SPARE_S)
    if state.outcome is not None:
        return None
    match flow.steps.get(state.step):
        case Say() as say:
            sources = _sources(flow, state, say.prompt)
            return Play(state.action_id, sources, _saying_s(sources) + SPARE_S) if sources else None
        case Ask() as ask:
            return _question(flow, state, ask)
        case Http() as http:
            arguments = {name: filled(text, state.variables) for name, text in http.send.items()}
            return CallHttp(
                state.action_id, http.url, http.method, arguments, http.headers, http.secret_headers,
                http.timeout_ms, http.timeout_ms // 1000 + SPARE_S,
            )  # fmt: skip
        case Transfer() as transfer:
            context, left_out = _context(state, transfer)
            # ACS reports by then itself; the time is that of the profile's transfers.
            return TransferCall(
                state.action_id, transfer.to, transfer.caller_id, context, left_out, transfer.timeout_s
            )
        case _:
            return None


def _question(flow: Flow, state: FlowState, ask: Ask) -> Recognise | None:
    """Without speech, or phrases, choices are one key; what can only be said, or has no prompt, cannot be asked."""
    language = state.language(flow)
    by_voice = not state.speech_away
    listens_for_choices = by_voice and any(choice.phrases for choice in ask.choices.values())
    choices: Mapping[str, Choice] = ask.choices if listens_for_choices else {}
    has_keys = any(choice.key is not None for choice in ask.choices.values())
    digits = _ONE_KEY if has_keys and not choices else ask.digits
    speech = ask.speech if by_voice else None
    prompt = _sources(flow, state, ask.prompt)
    if not prompt or not (digits or speech or choices):
        return None
    again = {Failure.NO_INPUT: ask.no_input, Failure.NO_MATCH: ask.no_match}.get(
        state.last_failure or Failure.OTHER
    )
    sources = [*(_sources(flow, state, again) if again else ()), *prompt]
    listening_s = (LONGEST_SPEECH_S if speech or choices else 0) + (
        digits.max * digits.pause_s if digits else 0
    )
    return Recognise(
        state.action_id, sources, language, flow.languages[language].speech_model, digits, speech, choices,
        ask.silence_s, ask.barge_in, _saying_s(sources) + ask.silence_s + listening_s + SPARE_S,
    )  # fmt: skip


def _sources(flow: Flow, state: FlowState, prompt: Prompt) -> Sequence[Source]:
    found = []
    for part in prompt[state.language(flow)]:
        if part.kind is not PartKind.WAV and state.speech_away:
            if part.wav is None:
                continue
            part = Part(PartKind.WAV, part.wav, part.language)  # noqa: PLW2901
        found.append(_source(flow, state, part))
    return found


def _source(flow: Flow, state: FlowState, part: Part) -> Source:
    language = flow.languages[part.language]
    content, cache_id = part.content, None
    if part.kind is not PartKind.WAV:
        content = spoken(part.content, state.variables, ssml=part.kind is PartKind.SSML)
        if not names_in(part.content):
            rendered = "\n".join((language.voice, language.custom_voice or "", part.language, content))
            cache_id = hashlib.sha256(rendered.encode()).hexdigest()[:32]
    return Source(part.kind, content, part.language, language.voice, language.custom_voice, cache_id)


def _saying_s(sources: Sequence[Source]) -> int:
    return sum(
        MAX_SOUND_S
        if source.kind is PartKind.WAV
        else len(source.content) // SLOWEST_CHARS_A_SECOND
        for source in sources
    )  # fmt: skip


def _context(state: FlowState, transfer: Transfer) -> tuple[TransferContext, Sequence[str]]:
    """Return what goes along, and the names of what the leg cannot carry; a variable without a value does not go."""
    values = {name: filled(template, state.variables) for name, template in transfer.context.items()}
    return what_fits(transfer.to, {name: value for name, value in values.items() if value})
