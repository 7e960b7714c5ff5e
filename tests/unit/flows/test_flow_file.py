"""A flow file is checked whole before any call runs it, and every fault is reported with its line."""

import pytest

from shared.admin.__main__ import main
from shared.core.flow_model import Ask, Choice, Digits, Language, Part, PartKind
from shared.flow_document import faults_of
from shared.flow_file import load_flow_file
from shared.gateway_document import stored_name
from shared.yaml_file import YamlFileInvalid
from tests.support.records import wav_bytes
from tests.unit.flows.ivr import SAMPLE, document_of, flow_of

SOUND = wav_bytes(bytes(640), rate_hz=16_000)
GOOD = """\
version: 1
languages:
  en-US: {voice: en-US-AvaMultilingualNeural}
variables:
  account: {pattern: "[0-9]{4}", sensitive: true, default: ""}
start: hello
steps:
  hello: {kind: say, prompt: {text: Hello., wav: hello.wav}, next: number}
  number:
    kind: ask
    prompt: Your number?
    digits: {length: 4}
    variable: account
    next: bye
    otherwise: bye
  bye: {kind: hang_up}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hello.wav").write_bytes(SOUND)
    return tmp_path


def load(folder, text):
    file = folder / "flow.yaml"
    file.write_text(text)
    return load_flow_file(file)


def faults(folder, text):
    with pytest.raises(YamlFileInvalid) as invalid:
        load(folder, text)
    return invalid.value.faults


def meaning(steps, **members):
    """The faults of a flow of these steps, without their lines."""
    document = document_of(steps) | members
    return [f"{fault.place_name}: {fault.text}" for fault in faults_of(document)]


def test_a_good_file_becomes_a_flow_with_its_sounds(folder):
    file = load(folder, GOOD)

    name = stored_name(SOUND)
    assert file.sounds == {name: SOUND}
    assert file.flow.languages == {"en-US": Language("en-US-AvaMultilingualNeural")}
    assert file.flow.steps["hello"].prompt == {"en-US": [Part(PartKind.TEXT, "Hello.", "en-US", name)]}
    assert file.flow.steps["number"] == Ask(
        prompt={"en-US": [Part(PartKind.TEXT, "Your number?", "en-US")]},
        digits=Digits(min=4, max=4),
        variable="account",
        next="bye",
        otherwise="bye",
        choices={},
    )


def test_a_confirmation_is_a_question_with_two_choices():
    flow = flow_of(
        "first: {kind: confirm, prompt: Right., yes: {key: '1', next: bye}, no: {key: '2', next: first},"
        " otherwise: bye}"
    )
    assert flow.steps["first"].choices == {
        "yes": Choice("1", {}, "bye"),
        "no": Choice("2", {}, "first"),
    }


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "length: 4",
            "lenght: 4",
            "flow.yaml:12: steps.number.digits: Additional properties are not allowed",
        ),
        ("kind: ask", "kind: aks", 'flow.yaml:10: steps.number.kind: "aks" is not one of "say", "ask"'),
        ("next: bye\n", "next: by\n", "flow.yaml:14: steps.number.next: there is no step 'by'"),
        ("start: hello", "start: hallo", "flow.yaml:6: start: there is no step 'hallo'"),
        ("hello.wav", "gone.wav", "flow.yaml:8: steps.hello.prompt.wav: the file is not there"),
        (
            "text: Hello.",
            'text: "Hello {nam}."',
            "flow.yaml:8: steps.hello.prompt.text: there is no variable 'nam'",
        ),
        ("version: 1\n", "version: 1\nversion: 1\n", "flow.yaml:2: : 'version' stands twice"),
    ],
)
def test_a_fault_names_its_line(folder, old, new, fault):
    assert faults(folder, GOOD.replace(old, new))[0].startswith(fault)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "flow.yaml: is empty"),
        ("a: [", "flow.yaml:1: "),
        ("[" * 5000, "flow.yaml: refers to itself, or is nested too deeply"),
        ("just text", 'flow.yaml:1: file: "just text" is not of type "object"'),
        ("a: &a\n  b: *a", "flow.yaml: refers to itself, or is nested too deeply"),
    ],
)
def test_a_file_that_is_no_flow_file_is_refused(folder, text, fault):
    assert faults(folder, text)[0].startswith(fault)


def test_a_sound_that_acs_would_not_play_is_found(folder):
    (folder / "hello.wav").write_bytes(wav_bytes(bytes(640), rate_hz=24_000))
    assert faults(folder, GOOD) == ("flow.yaml:8: steps.hello.prompt.wav: must be mono, 16 bit, 16000 Hz",)


ASK = "first: {{kind: ask, prompt: Who., {}, next: bye, otherwise: bye}}"
SAY = "first: {{kind: say, prompt: {}, next: bye}}"
SEND = "first: {{kind: transfer, to: '{}', {}, otherwise: bye}}"
HTTP = "first: {{kind: http, url: '{}', {}, next: bye, otherwise: bye}}"
USER = "8:acs:11111111-2222-3333-4444-555555555555_00000000-0000-0000-0000-000000000001"


@pytest.mark.parametrize(
    ("steps", "fault"),
    [
        # ways
        (SAY.format("Hello.") + "\nother: {kind: go_to, next: bye}", "steps.other: no way leads here"),
        (
            "first: {kind: say, prompt: a, next: second}\nsecond: {kind: go_to, next: first}",
            "steps.first: goes round without an answer of the caller: first -> second -> first",
        ),
        (
            "first: {kind: ask, prompt: a, speech: {}, next: bye, otherwise: first}",
            "steps.first: goes round without an answer of the caller: first -> first",
        ),
        # texts
        (SAY.format("'{x'"), "steps.first.prompt: a brace has no other"),
        (
            SAY.format("'{tier}'"),
            "steps.first.prompt: 'tier' may have no value here; it could have a default",
        ),
        (SAY.format("a" * 4001), "steps.first.prompt: has 4001 characters with its values at their longest"),
        (SAY.format("'{note}" + "a" * 3801 + "'"), "steps.first.prompt: has 4001 characters"),
        (SAY.format("{ssml: '<speak>'}"), "steps.first.prompt.ssml: is not XML: "),
        (SAY.format("{ssml: '<say/>'}"), "steps.first.prompt.ssml: is no <speak> document"),
        (SAY.format("{ssml: '<speak><{note}/></speak>'}"), "steps.first.prompt.ssml: is not XML: "),
        (SAY.format("{ssml: '<!DOCTYPE a><speak/>'}"), "steps.first.prompt.ssml: has a declaration"),
        (SAY.format("{text: a, ssml: <speak/>}"), "steps.first.prompt: has text and ssml: one of them"),
        (SAY.format("[{language: en-US}]"), "steps.first.prompt.0: has neither text, ssml nor wav"),
        (SAY.format("{en-US: a, fr-FR: b}"), "steps.first.prompt.fr-FR: there is no language 'fr-FR'"),
        (
            SAY.format("{text: a, language: fr-FR}"),
            "steps.first.prompt.language: there is no language 'fr-FR'",
        ),
        # questions
        (ASK.format("retries: 1"), "steps.first: asks for nothing: digits, speech, or choices"),
        (ASK.format("speech: {}, choices: {a: {key: '1'}}"), "steps.first.choices: are asked for alone"),
        (ASK.format("digits: {length: 4, max: 5}"), "steps.first.digits: has a length, or min and max"),
        (ASK.format("digits: {min: 4}"), "steps.first.digits: has a length, or min and max"),
        (ASK.format("digits: {min: 4, max: 2}"), "steps.first.digits.min: is more than max"),
        (ASK.format("speech: {}, silence_s: 21"), "steps.first.silence_s: is more than 20, which ACS waits"),
        (
            ASK.format("choices: {a: {phrases: [x]}}, silence_s: 21"),
            "steps.first.silence_s: is more than 20, which ACS waits",
        ),
        (
            "first: {kind: ask, prompt: a, speech: {}, otherwise: bye}",
            "steps.first: has no next, and not every choice has one",
        ),
        (ASK.format("choices: {a: {}}"), "steps.first.choices.a: cannot be chosen"),
        (ASK.format("choices: {a: {key: '1'}, b: {phrases: [x]}}"), "steps.first.choices.a: has no phrases"),
        (
            ASK.format("choices: {a: {key: '1'}, b: {key: '1'}}"),
            "steps.first.choices.b.key: chooses something else, too",
        ),
        (
            ASK.format("choices: {a: {phrases: [Sure]}, b: {phrases: [sure]}}"),
            "steps.first.choices.b.phrases: 'sure' chooses 'a', too",
        ),
        (ASK.format("speech: {}, variable: nobody"), "steps.first.variable: there is no variable 'nobody'"),
        (
            ASK.format("speech: {}, variable: caller"),
            "steps.first.variable: 'caller' is not the flow's to set",
        ),
        (
            ASK.format("choices: {abcd: {key: '1'}}, variable: account"),
            "steps.first.choices.abcd: does not match the pattern of 'account'",
        ),
        (
            ASK.format("choices: {fr-FR: {key: '1'}}, variable: language"),
            "steps.first.choices.fr-FR: there is no language 'fr-FR'",
        ),
        # branches
        (
            "first: {kind: branch, variable: x, cases: [{is: a, next: bye}], otherwise: bye}",
            "steps.first.variable: there is no variable 'x'",
        ),
        (
            "first: {kind: branch, variable: note, cases: [{next: bye}], otherwise: bye}",
            "steps.first.cases.0: has one of is and matches",
        ),
        (
            "first: {kind: branch, variable: note, cases: [{matches: '(?=a)b', next: bye}], otherwise: bye}",
            "steps.first.cases.0.matches: is no regular expression",
        ),
        # requests
        (HTTP.format("http://api.example.com", "method: GET"), "steps.first.url: may be http:// only for"),
        (HTTP.format("https://u:p@api.example.com", "method: GET"), "steps.first.url: must not have a user"),
        (
            HTTP.format("https://api.example.com", "headers: {Host: a}"),
            "steps.first.headers.Host: is not a tool's to set",
        ),
        (
            HTTP.format("https://api.example.com", "method: GET, send: {a: '{account}'}"),
            "steps.first.send.a: 'account' is sensitive, and URLs land in logs; use POST",
        ),
        (
            HTTP.format("https://api.example.com", "save: {x: a.b}"),
            "steps.first.save.x: there is no variable 'x'",
        ),
        (
            HTTP.format("https://api.example.com", "save: {tier: a..b}"),
            'steps.first.save.tier: "a..b" does not match',
        ),
        # variables
        (
            "first: {kind: set, variables: {note: '{account}'}, next: bye}",
            "steps.first.variables.note: takes in 'account', which is sensitive",
        ),
        (
            "first: {kind: set, variables: {account: '12'}, next: bye}",
            "steps.first.variables.account: does not match the pattern of 'account'",
        ),
        (
            "first: {kind: set, variables: {account: '{note}'}, next: bye}",
            "steps.first.variables.account: has a pattern, which",
        ),
        (
            "first: {kind: set, variables: {language: de-DE}, next: bye}",
            "steps.first.variables.language: there is no language 'de-DE'",
        ),
        # transfers
        (SEND.format("4:desk", "timeout_s: 5"), "steps.first.to: must be a phone number, an ACS user"),
        (
            SEND.format("+14255550123", "context: {note: '{note}'}"),
            "steps.first.context.note: does not go along: a phone gets User-To-User",
        ),
        (
            SEND.format("28:orgid:x", "context: {note: '{note}'}"),
            "steps.first.context.note: does not go along: Teams gets nothing",
        ),
        (
            SEND.format(USER, f"context: {{{'n' * 65}: a}}"),
            f"steps.first.context.{'n' * 65}: name longer than 64",
        ),
        (
            SEND.format("+14255550123", f"context: {{User-To-User: {'a' * 257}}}"),
            "steps.first.context.User-To-User: value longer than 256",
        ),
        (
            SEND.format("+14255550123", "context: {X-MS-Custom-A: a b}"),
            "steps.first.context.X-MS-Custom-A: value with a character",
        ),
        (
            SEND.format("+14255550123", f"context: {{{', '.join(f'X-MS-Custom-{n}: a' for n in range(6))}}}"),
            "steps.first.context: more than 5 custom SIP headers",
        ),
        (SEND.format(USER, "caller_id: '+18005550199'"), "steps.first.caller_id: is shown to phones only"),
    ],
)
def test_what_would_go_wrong_in_a_call_is_found_before_it(steps, fault):
    found = meaning(steps)
    assert any(text.startswith(fault) for text in found), found


@pytest.mark.parametrize(
    ("variables", "fault"),
    [
        ({"caller": {}}, "variables.caller: is a variable that every flow has"),
        ({"a": {"pattern": "("}}, "variables.a.pattern: is no regular expression"),
        ({"a": {"pattern": r"(.)\1"}}, "variables.a.pattern: is no regular expression"),
        ({"a": {"pattern": "[0-9]", "default": "x"}}, "variables.a.default: does not match the pattern"),
        ({"a": {"input": "Ref"}, "b": {"input": "ref"}}, "variables.b.input: comes in as another variable"),
    ],
)
def test_a_variable_that_cannot_be_is_found(variables, fault):
    (found,) = meaning(SAY.format("Hello."), variables=variables)
    assert found.startswith(fault)


def test_in_a_flow_of_several_languages_everything_is_said_and_heard_in_each():
    languages = {"en-US": {"voice": "a"}, "es-MX": {"voice": "b"}}
    steps = """\
first:
  kind: ask
  prompt: Hello.
  no_input: {en-US: Again.}
  no_match: [{language: en-US, text: No.}, {language: es-MX, text: "No."}]
  choices: {a: {phrases: [a]}, b: {phrases: {en-US: [b]}}}
  next: bye
  otherwise: bye
"""
    assert meaning(steps, languages=languages) == [
        "steps.first.prompt: is for no language, and the flow has several",
        "steps.first.no_input: has nothing for es-MX",
        "steps.first.choices.a.phrases: are for no language, and the flow has several",
        "steps.first.choices.b.phrases: has nothing for es-MX",
    ]


def test_a_value_is_known_where_every_way_gives_it():
    steps = """\
first: {{kind: http, url: "https://a.example", save: {{tier: a}}, next: second, otherwise: {otherwise}}}
standard: {{kind: set, variables: {{tier: none}}, next: second}}
second: {{kind: say, prompt: "{{tier}}", next: bye}}
"""
    assert meaning(steps.format(otherwise="standard")) == []
    assert "steps.second.prompt: 'tier' may have no value here; it could have a default" in meaning(
        steps.format(otherwise="second")
    )


def test_the_command_says_what_a_good_file_has(capsys):
    assert main(["flow", "check", str(SAMPLE)]) == 0
    assert capsys.readouterr().out == f"{SAMPLE}: 11 steps, 2 languages, 3 variables, no fault\n"


def test_the_command_lists_every_fault_with_its_line(folder, capsys):
    file = folder / "flow.yaml"
    file.write_text(GOOD.replace("next: bye\n", "next: by\n").replace("text: Hello.", "text: '{x}'"))
    assert main(["flow", "check", str(file)]) == 2
    assert capsys.readouterr().err == (
        "flow.yaml:14: steps.number.next: there is no step 'by'\n"
        "flow.yaml:8: steps.hello.prompt.text: there is no variable 'x'\n"
    )
