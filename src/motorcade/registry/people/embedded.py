"""People and apps in the registry's SQLite file. `port.py` has the promises."""

from motorcade.registry.people.accounts import Accounts
from motorcade.registry.people.apps import Apps
from motorcade.registry.people.grants import Grants
from motorcade.registry.people.store import Store


class EmbeddedPeople(Accounts, Apps, Grants):
    """A `People`, its parts by what they are about."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
