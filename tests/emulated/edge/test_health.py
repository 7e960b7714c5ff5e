"""Health is cheap; readiness names each dependency and its state."""

from shared.release import release


async def get(edge, path):
    async with edge.http.get(f"{edge.host.url}{path}") as response:
        return response.status, await response.json()


async def test_health_asks_nobody(edge):
    assert await get(edge, "/healthz") == (200, {"status": "ok"})


async def test_readiness_names_every_dependency(edge):
    states = {
        "configuration": "ok",
        "storage": "ok",
        "profiles": "ok",
        "media_keys": "ok",
        "callback_keys": "ok",
        "acs_public_keys": "ok",
    }
    assert await get(edge, "/readyz") == (200, {"ready": True, "release": release(), "dependencies": states})


async def test_a_dependency_that_is_away_is_named(start_edge, unused_tcp_port_factory):
    edge = await start_edge(KEY_VAULT_URL=f"https://127.0.0.1:{unused_tcp_port_factory()}")
    status, answer = await get(edge, "/readyz")
    assert (status, answer["ready"]) == (503, False)
    assert answer["dependencies"]["media_keys"] == "Key Vault did not answer"
    assert answer["dependencies"]["storage"] == "ok"


async def test_a_faulty_configuration_is_named_while_the_app_stays_up(start_edge):
    edge = await start_edge(CALLBACK_BASE_URL="")
    assert (await get(edge, "/healthz"))[0] == 200
    status, answer = await get(edge, "/readyz")
    assert (status, answer["dependencies"]) == (503, {"configuration": "CALLBACK_BASE_URL is not set"})
    assert (await edge.deliver([]))[0] == 500
