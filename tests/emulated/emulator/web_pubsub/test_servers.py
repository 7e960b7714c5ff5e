"""What servers do in Web PubSub, with the real service package, synchronous and asynchronous."""

import json

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from tests.emulated.emulator.web_pubsub.conftest import ALL_ROLES, GROUP, HUB, PLAIN


@pytest.fixture(params=["sync", "aio"])
async def server(request, acs_emulator, make_server):
    return await make_server(acs_emulator, package=request.param)


@pytest.fixture
async def pod(server, open_raw):
    """A client with the plain subprotocol, in the group."""
    pod = await open_raw(await server.access(user_id="pod", roles=list(ALL_ROLES), groups=[GROUP]), PLAIN)
    pod.id = (await pod.next())["connectionId"]
    return pod


@pytest.mark.parametrize(
    ("method", "to"),
    [
        ("send_to_all", lambda pod: ()),
        ("send_to_group", lambda pod: (GROUP,)),
        ("send_to_user", lambda pod: ("pod",)),
        ("send_to_connection", lambda pod: (pod.id,)),
    ],
)
async def test_message_reaches_whom_it_is_for(server, pod, acs_emulator, method, to):
    await server(method, *to(pod), {"call": "c-1"})

    message = await pod.next()
    assert message["data"] == {"call": "c-1"}
    is_of_group = method == "send_to_group"
    assert message["from"] == ("group" if is_of_group else "server")
    assert message.get("group") == (GROUP if is_of_group else None)
    [sent] = acs_emulator.web_pubsub.messages(HUB)
    assert (f"send_to_{sent.to}", sent.receivers) == (method, 1)


@pytest.mark.parametrize(
    ("content_type", "body", "data_type", "data"),
    [
        ("application/json", "a text", "json", "a text"),
        # ASCII: the asynchronous package tells a wrong length of any other text.
        ("text/plain", "a text", "text", "a text"),
        ("application/octet-stream", b"\x00\xff", "binary", "AP8="),
    ],
)
async def test_content_comes_as_what_it_was_sent(server, pod, content_type, body, data_type, data):
    await server("send_to_group", GROUP, body, content_type=content_type)

    message = await pod.next()
    assert (message["dataType"], message["data"]) == (data_type, data)


@pytest.mark.parametrize(
    ("content_type", "body", "frame"),
    [
        ("application/json", {"a": [1]}, {"a": [1]}),
        ("text/plain", "text", "text"),
        ("application/octet-stream", b"\x00\xff", b"\x00\xff"),
    ],
)
async def test_client_without_a_subprotocol_gets_the_bare_data(server, open_raw, content_type, body, frame):
    client = await open_raw(await server.access())

    await server("send_to_all", body, content_type=content_type)

    message = await client.socket.receive(timeout=5)
    assert (json.loads(message.data) if isinstance(frame, dict) else message.data) == frame


async def test_nobody_else_gets_a_message(server, pod, open_raw, acs_emulator, make_server):
    other = await open_raw(await server.access(user_id="other"), PLAIN)
    other_id = (await other.next())["connectionId"]
    elsewhere = await make_server(acs_emulator, hub="elsewhere")

    await elsewhere("send_to_all", "of another hub")
    await server("send_to_group", GROUP, "for the group")
    await server("send_to_all", "for all but one", excluded=[pod.id])
    await server("send_to_connection", other_id, "last")
    await server("send_to_connection", pod.id, "last")

    assert [(await pod.next())["data"] for _ in range(2)] == ["for the group", "last"]
    assert [(await other.next())["data"] for _ in range(2)] == ["for all but one", "last"]


async def test_nobody_has_to_be_there_for_a_message(server):
    await server("send_to_group", "nobody", {})
    await server("send_to_user", "nobody", {})
    await server("send_to_connection", "nobody", {})


async def test_existence_can_be_asked_for(server, pod):
    assert await server("group_exists", GROUP)
    assert await server("user_exists", "pod")
    assert await server("connection_exists", pod.id)
    assert not await server("group_exists", "other")
    assert not await server("user_exists", "other")
    assert not await server("connection_exists", "other")


async def test_hubs_are_the_same_in_any_case(server, pod, acs_emulator, make_server):
    assert await (await make_server(acs_emulator, hub=HUB.upper()))("connection_exists", pod.id)


async def test_connection_and_user_are_put_into_groups_and_taken_out(server, pod, acs_emulator):
    await server("add_connection_to_group", "a/b c", pod.id)
    await server("add_user_to_group", "d", "pod")

    assert list(acs_emulator.web_pubsub.groups(HUB)) == [(HUB, GROUP), (HUB, "a/b c"), (HUB, "d")]
    [member] = await server("list_connections", group="a/b c")
    assert (member.connection_id, member.user_id) == (pod.id, "pod")

    await server("remove_connection_from_group", "a/b c", pod.id)
    await server("remove_user_from_group", "d", "pod")
    assert list(acs_emulator.web_pubsub.groups()) == [(HUB, GROUP)]

    await server("remove_connection_from_all_groups", pod.id)
    assert acs_emulator.web_pubsub.groups() == {}
    await server("add_user_to_group", "d", "pod")
    await server("remove_user_from_all_groups", "pod")
    assert acs_emulator.web_pubsub.groups() == {}


async def test_only_so_many_connections_are_listed_as_are_wanted(server, pod, open_raw):
    other = await open_raw(await server.access(groups=[GROUP]), PLAIN)
    await other.next()

    assert len(await server("list_connections", group=GROUP)) == 2
    assert [each.connection_id for each in await server("list_connections", group=GROUP, top=1)] == [pod.id]


async def test_unknown_connection_cannot_be_put_into_a_group_or_permitted_anything(server):
    with pytest.raises(ResourceNotFoundError, match="no connection of this id"):
        await server("add_connection_to_group", GROUP, "unknown")
    with pytest.raises(ResourceNotFoundError):
        await server("grant_permission", "sendToGroup", "unknown")
    await server("add_user_to_group", GROUP, "unknown")
    await server("remove_connection_from_group", GROUP, "unknown")
    await server("revoke_permission", "sendToGroup", "unknown")


async def test_permissions_are_granted_and_revoked(server, open_raw):
    client = await open_raw(await server.access(), PLAIN)
    id_ = (await client.next())["connectionId"]
    send = {"type": "sendToGroup", "group": GROUP, "dataType": "text", "data": "text"}
    assert (await client.ask(**send, ackId=1))["error"]["name"] == "Forbidden"

    await server("grant_permission", "sendToGroup", id_, target_name=GROUP)

    assert await server("has_permission", "sendToGroup", id_, target_name=GROUP)
    assert not await server("has_permission", "sendToGroup", id_, target_name="other")
    assert not await server("has_permission", "joinLeaveGroup", id_)
    assert (await client.ask(**send, ackId=1))["success"]
    await server("revoke_permission", "sendToGroup", id_, target_name=GROUP)
    assert not (await client.ask(**send, ackId=2))["success"]


@pytest.mark.parametrize(
    ("method", "of"),
    [
        ("close_connection", lambda pod: (pod.id,)),
        ("close_group_connections", lambda pod: (GROUP,)),
        ("close_user_connections", lambda pod: ("pod",)),
        ("close_all_connections", lambda pod: ()),
    ],
)
async def test_closed_connection_is_told_why(server, pod, method, of):
    await server(method, *of(pod), reason="ü" * 200)

    assert await pod.next() == {"type": "system", "event": "disconnected", "message": "ü" * 200}
    message = await pod.socket.receive(timeout=5)
    assert (message.data, message.extra) == (1008, "ü" * 61)
    assert not await server("connection_exists", pod.id)


async def test_excluded_connections_are_not_closed(server, pod):
    await server("close_all_connections", excluded=[pod.id])

    assert await server("connection_exists", pod.id)


@pytest.mark.parametrize("options", [{"filter": "userId ne null"}, {"params": {"messageTtlSeconds": "60"}}])
async def test_what_is_not_emulated_is_refused(server, options):
    with pytest.raises(HttpResponseError, match="is not emulated") as refused:
        await server("send_to_all", {}, **options)
    assert refused.value.status_code == 501
