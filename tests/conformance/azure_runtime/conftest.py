"""The deployed package."""

import pytest

from tests.support.deployed_package import REPOSITORY, stage


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """The staged package, at a path that nothing else knows."""
    return stage(REPOSITORY, tmp_path_factory.mktemp("package") / "wwwroot")
