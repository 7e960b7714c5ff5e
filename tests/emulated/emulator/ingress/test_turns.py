"""Whose turn it is: ready pods one after the other, and nobody else."""

import aiohttp
import pytest

from emulator.ingress import Backend, Ingress


async def test_sockets_go_to_the_pods_in_turn(ingress, start_pods, call):
    await start_pods(ingress, 3)

    callers = [await call(ingress) for _ in range(6)]

    names = [caller.heard[0].decode() for caller in callers]
    assert names == ["pod-0", "pod-1", "pod-2"] * 2
    assert [backend.taken for backend in ingress.backends] == [2, 2, 2]


async def test_what_is_said_comes_back_from_the_same_pod(ingress, start_pods, call):
    await start_pods(ingress, 2)
    first, second = await call(ingress), await call(ingress)

    for number in range(1, 50):
        first.say(b"first %d" % number)
        second.say(b"second %d" % number)

    assert await first.hear(49) == b"first 49"
    assert await second.hear(49) == b"second 49"


async def test_plain_requests_go_in_turn_even_from_a_client_that_keeps_its_connection(ingress, start_pods):
    await start_pods(ingress, 2)

    async with aiohttp.ClientSession() as session:
        names = []
        for _ in range(4):
            async with session.get(f"{ingress.url}/name") as answer:
                names.append(await answer.text())

    assert names == ["pod-0", "pod-1", "pod-0", "pod-1"]


async def test_a_pod_that_is_not_ready_gets_no_new_socket_and_keeps_those_it_has(
    ingress, start_pods, call, until
):
    away, _ = await start_pods(ingress, 2)
    running = await call(ingress)
    assert running.heard == [b"pod-0"]

    away.is_ready = False
    await until(lambda: not ingress.backends[away.url].is_ready)

    assert [(await call(ingress)).heard for _ in range(3)] == [[b"pod-1"]] * 3
    running.say(b"still here")
    assert await running.hear(1) == b"still here"

    away.is_ready = True
    await ingress.ready(away.url, 5)
    assert {(await call(ingress)).heard[0] for _ in range(2)} == {b"pod-0", b"pod-1"}


def test_a_ready_pod_is_forgiven_all_but_the_last_of_three_failed_probes_in_a_row():
    backend = Backend("http://127.0.0.1:8063")

    def probed(succeeded):
        backend.probed("", succeeded=succeeded, failures=3)
        return backend.is_ready

    assert [probed(False), probed(True)] == [False, True]
    assert [probed(False), probed(False), probed(True)] == [True] * 3
    assert [probed(False), probed(False), probed(False)] == [True, True, False]
    assert [probed(False), probed(True)] == [False, True]


async def test_a_change_of_readiness_is_told(start_pods):
    changes = []
    ingress = Ingress(on_change=lambda backend: changes.append((backend.url, backend.is_ready)))
    await ingress.start()
    try:
        (pod,) = await start_pods(ingress, 1)
        assert changes == [(pod.url, True)]
    finally:
        await ingress.stop()


async def test_a_pod_that_takes_no_connection_is_passed_over(start_ingress, start_pods, call):
    ingress = await start_ingress(probe_s=60)
    gone, _ = await start_pods(ingress, 2)
    await gone.refuse_connections()

    assert (await call(ingress)).heard == [b"pod-1"]
    assert ingress.counters["connect_failed"] == 1
    assert ingress.backends[gone.url].is_ready
    assert not ingress.backends[gone.url].relays


async def test_without_a_ready_pod_the_ingress_itself_answers_503(ingress, start_pods, until, http):
    (pod,) = await start_pods(ingress, 1)
    pod.is_ready = False
    await until(lambda: not ingress.backends[pod.url].is_ready)

    async with http.get(f"{ingress.url}/name") as answer:
        assert (answer.status, await answer.text()) == (503, "no backend is ready\n")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(f"{ingress.url}/v1/media")
    assert refused.value.status == 503
    assert ingress.counters["refused_503"] == 2


async def test_a_pod_is_added_while_it_runs_and_gets_its_share_once_it_is_ready(ingress, start_pods, call):
    await start_pods(ingress, 1)
    assert (await call(ingress)).heard == [b"pod-0"]

    (second,) = await start_pods(ingress, 1)

    assert sum(backend.taken for backend in ingress.backends) == 1
    await call(ingress)
    await call(ingress)
    assert ingress.backends[second.url].taken == 1


async def test_what_is_no_backend_or_one_already_is_refused(ingress, start_pods):
    (pod,) = await start_pods(ingress, 1)

    for url in (pod.url, "ws://127.0.0.1:1", "http://127.0.0.1", "http://127.0.0.1:1/path", "http://h:port"):
        with pytest.raises(ValueError):
            ingress.add(url)
    assert [backend.url for backend in ingress.backends] == [pod.url]


async def test_who_waits_for_a_pod_that_does_not_get_ready_is_told_what_it_says(ingress, start_pods, until):
    (pod,) = await start_pods(ingress, 1)
    pod.is_ready = False
    await until(lambda: not ingress.backends[pod.url].is_ready)

    with pytest.raises(TimeoutError, match=r"is not ready: .*not ready"):
        await ingress.ready(pod.url, 0.01)
