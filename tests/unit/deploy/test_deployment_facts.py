"""What templates, hooks, image, documentation and code say of the same thing is the same."""

import pytest

from tests.unit.deploy import facts_of_azure, facts_of_processes, facts_of_the_package
from tests.unit.deploy.deployment_files import Files

FACTS = (*facts_of_azure.FACTS, *facts_of_processes.FACTS, *facts_of_the_package.FACTS)


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.__name__)
def test_it_holds(fact):
    assert list(fact(Files())) == []
