"""What the local stack's callers can call: by default, what the gateway file routes."""

import argparse

import pytest
from aiohttp import web

from emulator import up
from emulator.ports import Ports
from emulator.routed import Addresses, profiles_called, routed_addresses
from emulator.seeding import Credentials, subscribe
from emulator.settings import DEFAULT_RESOURCE_ID
from tests.support.functions_host import REPOSITORY

USER = f"8:acs:{DEFAULT_RESOURCE_ID}_00000014-1889-f3a7-6a0b-343a0d0061f3"


def write(folder, *called):
    routes = "".join(f"  - {{account: demo, to: '{to}', profile: echo}}\n" for to in called)
    (folder / "gateway.yaml").write_text(f"routes:\n{routes}")
    return folder


def test_the_shipped_file():
    assert routed_addresses(REPOSITORY) == Addresses(("+18005550199", "+18005550198"))


def test_numbers_and_users_in_their_order_each_once(tmp_path):
    folder = write(tmp_path, "+442071838750", "*", "4:+18005550197", USER, "+442071838750", "28:orgid:bot")
    assert routed_addresses(folder) == Addresses(("+442071838750", "+18005550197"), (USER,))


def test_a_user_of_another_resource_is_left_out(tmp_path):
    folder = write(tmp_path, "+442071838750", "8:acs:22222222-2222-2222-2222-222222222222_1")
    assert routed_addresses(folder).identities == ()


def test_numbers_and_users_of_flows_are_told_from_the_agents(tmp_path):
    routes = [("+18005550100", "flow: welcome"), ("4:+18005550199", "profile: echo"), (USER, "flow: welcome")]
    lines = "".join(f"  - {{account: demo, to: '{to}', {answers}}}\n" for to, answers in routes)
    (tmp_path / "gateway.yaml").write_text(f"routes:\n{lines}")
    assert routed_addresses(tmp_path).of_flows == {"4:+18005550100", USER}


@pytest.mark.parametrize(
    "text",
    ["", "routes: 1", "routes: [1]", "routes: [{account: a}]", "routes: [{to: '*'}]", "{", "\0", "routes:"],
)
def test_a_file_that_routes_nobody_leaves_the_usual_number(tmp_path, text):
    (tmp_path / "gateway.yaml").write_text(text)
    assert routed_addresses(tmp_path) == Addresses(("+18005550199",))


def test_no_file_leaves_the_usual_number(tmp_path):
    assert routed_addresses(tmp_path) == Addresses(("+18005550199",))


@pytest.mark.parametrize(
    ("arguments", "addresses"),
    [
        ([], Addresses(("+442071838750",))),
        (["--identity", USER], Addresses(("+442071838750",), (USER,))),
        (
            ["--phone-number", "+18005550196", "--phone-number", "+18005550195"],
            Addresses(("+18005550196", "+18005550195")),
        ),
    ],
)
def test_options_go_before_the_file(tmp_path, arguments, addresses):
    parser = argparse.ArgumentParser()
    up.add_arguments(parser)
    parsed = parser.parse_args(["--root", str(write(tmp_path, "+442071838750")), *arguments])
    assert up.stack_options(parsed, Ports()).addresses == addresses


def test_who_is_called_when_nobody_is_named():
    assert up.default_to(Addresses(("+442071838750", "+18005550199"))) == "+18005550199"
    assert up.default_to(Addresses(("+442071838750",))) == "+442071838750"
    assert up.default_to(Addresses((), (USER,))) == USER


@pytest.fixture
async def subscribed(http):
    """Subscribe to the calls of addresses; gives the subscriptions by their names."""
    made = {}

    async def put(request):
        made[request.match_info["name"]] = await request.json()
        return web.json_response({}, status=201)

    application = web.Application()
    application.router.add_put("/eventgrid/subscriptions/{name}", put)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()

    async def subscribed_to(addresses):
        await subscribe(http, Ports(emulator=runner.addresses[0][1]), Credentials("id", "secret"), addresses)
        return made

    yield subscribed_to
    await runner.cleanup()


def called(subscription):
    return subscription["filter"]["advancedFilters"][0]["values"]


async def test_more_addresses_than_a_filter_takes_are_subscribed_to_in_parts(subscribed):
    addresses = Addresses(tuple(f"+1800555{number:04}" for number in range(30)), (USER,))
    made = await subscribed(addresses)
    values = {name: called(each) for name, each in made.items()}
    assert {name: len(value) for name, value in values.items()} == {"local-gateway": 25, "local-gateway-2": 6}
    assert tuple(values["local-gateway"] + values["local-gateway-2"]) == addresses.raw_ids


async def test_calls_of_flows_go_to_the_webhook_of_the_ivr(subscribed):
    made = await subscribed(
        Addresses(("+18005550199", "+18005550100"), (USER,), frozenset({"4:+18005550100", USER}))
    )
    assert {name: (each["endpoint"].rpartition("/")[2], called(each)) for name, each in made.items()} == {
        "local-gateway": ("acs-events", ["4:+18005550199"]),
        "local-ivr": ("ivr-events", ["4:+18005550100", USER]),
    }


def test_each_profile_has_the_first_that_can_be_called_for_it(tmp_path):
    routes = [("*", "echo"), ("4:+18005550197", "echo"), ("+18005550196", "echo"), (USER, "reception")]
    lines = "".join(f"  - {{account: demo, to: '{to}', profile: {profile}}}\n" for to, profile in routes)
    (tmp_path / "gateway.yaml").write_text(f"routes:\n{lines}")
    assert profiles_called(tmp_path) == {"echo": "+18005550197", "reception": USER}


@pytest.mark.parametrize("text", ["", "routes: 1", "routes: [1]", "routes: [{to: '*'}]", "{", "\0", "\xff"])
def test_profiles_of_a_file_that_cannot_be_read_are_not_made_up(tmp_path, text):
    (tmp_path / "gateway.yaml").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match="no routes"):
        profiles_called(tmp_path)
