"""One served organisation per module: the attacks of a module meet what earlier ones left, as in life."""

from collections.abc import Iterator

import pytest

from tests.attacks.holder import Held
from tests.attacks.place import Place, served


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with served(tmp_path_factory.mktemp("place")) as made:
        yield made


@pytest.fixture(scope="module")
def mina(place: Place) -> Held:
    """A customer with a wallet."""
    return place.enrolled()


@pytest.fixture(scope="module")
def thief(place: Place) -> Held:
    """Another customer with a wallet, who wants more than their own."""
    return place.enrolled()
