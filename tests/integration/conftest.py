"""How the tests are shared among processes."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file together, and those of the same servers, whose start takes longest."""
    for item in items:
        servers = "postgres" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("servers" if servers else item.path.stem))
