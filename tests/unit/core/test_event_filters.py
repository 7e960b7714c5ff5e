"""Routes give the filters of Event Grid's subscriptions: each call to one webhook, within Event Grid's limits."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.event_filters import (
    MAX_VALUES,
    EventFilter,
    FiltersImpossible,
    Operator,
    Webhook,
    filters_of,
)
from shared.core.profiles import Route, Routing

BELL, DESK = "4:+18005550199", "4:+18005550198"


def routed(*routes):
    return Routing(profiles={}, routes=routes)


def agent(to, account="demo"):
    return Route(account, to, profile="echo")


def flow(to, account="demo"):
    return Route(account, to, flow="welcome")


def numbers(count):
    return [f"4:+1800555{number:04}" for number in range(count)]


def test_an_account_has_a_subscription_of_its_agents_and_one_of_its_flows():
    assert filters_of(routed(agent(BELL), flow(DESK), agent("8:acs:r_a"))) == [
        EventFilter("gateway-demo", "demo", Webhook.AGENTS, Operator.IS_IN, (BELL, "8:acs:r_a")),
        EventFilter("ivr-demo", "demo", Webhook.IVR, Operator.IS_IN, (DESK,)),
    ]


def test_more_numbers_than_a_filter_takes_are_several_subscriptions():
    filters = filters_of(routed(*map(agent, numbers(2 * MAX_VALUES + 1))))
    assert [(each.name, len(each.called)) for each in filters] == [
        ("gateway-demo", 25),
        ("gateway-demo-2", 25),
        ("gateway-demo-3", 1),
    ]


def test_every_call_of_the_only_application_needs_no_filter():
    assert filters_of(routed(agent("*"), agent(BELL))) == [
        EventFilter("gateway-demo", "demo", Webhook.AGENTS, Operator.IS_NOT_IN)
    ]


def test_every_other_call_is_none_that_somebody_else_takes():
    everybody, ivr = filters_of(routed(agent("*"), agent(DESK), flow(BELL)))
    assert (everybody.operator, everybody.called) == (Operator.IS_NOT_IN, (BELL,))
    assert (everybody.lets_through(BELL), ivr.lets_through(BELL)) == (False, True)
    assert (everybody.lets_through(DESK), ivr.lets_through(DESK)) == (True, False)


def test_no_routes_are_no_subscriptions():
    assert filters_of(routed()) == []


@pytest.mark.parametrize(
    ("routes", "said"),
    [
        ([agent("*"), flow("*")], "gateway-demo and ivr-demo: one route alone"),
        ([agent("*"), agent("*", "other")], "gateway-demo and gateway-other: one route alone"),
        ([agent("*"), *map(flow, numbers(26))], "gateway-demo: every other call (*) excludes 26 numbers"),
        ([agent(BELL, "a" * 57)], "too long for the name of a subscription"),
        ([agent("8:acs:" + "x" * 512)], "a raw id has more than 512 characters"),
    ],
    ids=["both", "accounts", "excluded", "name", "raw id"],
)
def test_what_event_grid_cannot_keep_apart_is_refused_without_a_number(routes, said):
    with pytest.raises(FiltersImpossible) as refused:
        filters_of(routed(*routes))
    assert said in str(refused.value)
    assert "555" not in str(refused.value)


@given(
    st.dictionaries(
        st.sampled_from(numbers(60)),
        st.tuples(st.sampled_from(["demo", "other"]), st.sampled_from([agent, flow])),
        max_size=60,
    )
)
def test_each_routed_number_comes_to_its_webhook_once_and_to_no_other(chosen):
    routes = [make(to, account) for to, (account, make) in chosen.items()]
    filters = filters_of(routed(*routes))
    assert all(0 < len(each.called) <= MAX_VALUES for each in filters)
    assert max(Counter(each.name for each in filters).values(), default=1) == 1
    for route in routes:
        takers = [(each.account, each.webhook) for each in filters if each.lets_through(route.to)]
        assert takers == [(route.account, Webhook.AGENTS if route.flow is None else Webhook.IVR)]
