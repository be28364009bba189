"""Puts energy sites together from their `site.json`: houses, agents, links. Nothing runs yet."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from motorcade.events import Topic
from motorcade.vehicle.agent import Agent, AgentParts
from motorcade.vehicle.assembly import World, link_of
from motorcade.vehicle.disk import Disk
from motorcade.vehicle.fleet import Member
from motorcade.vehicle.link import Backoff
from motorcade.vehicle.samples import JsonSampler
from motorcade.vehicle.site.home import Home, Homes
from motorcade.vehicle.site.samples import SiteSignals
from motorcade.vehicle.site.site_file import SiteFile

_JITTER: Final = 1


@dataclass(frozen=True, slots=True)
class Place:
    """A site with the disks it keeps things on."""

    file: SiteFile
    memory: Disk
    buffer: Disk
    journal: Disk


def assemble_sites(
    places: Sequence[Place], world: World, tls: ssl.SSLContext | None = None
) -> list[Member]:
    """The sites of a process, in one set of columns.

    Raises:
        OSError: their files cannot be read or written.
    """
    houses = [
        (place.file.house.site(), place.file.house.time_zone, place.memory) for place in places
    ]
    homes = Homes(houses, world.clock).homes
    return [_member(place, home, world, tls) for place, home in zip(places, homes, strict=True)]


def _member(place: Place, home: Home, world: World, tls: ssl.SSLContext | None) -> Member:
    identity = place.file.identity
    parts = AgentParts(
        identity,
        home,
        world.clock,
        place.buffer,
        place.journal,
        JsonSampler(SiteSignals()),
        world.config,
        world.entropy,
        traced=world.traced,
        topic=Topic.ENERGY,
        refuses=Home.refusal,
        apply=Home.apply,
    )
    agent = Agent(parts)
    agent.damage += filter(None, [home.damage])
    backoff = Backoff(world.config, np.random.default_rng((place.file.house.seed, _JITTER)))
    return Member(agent, link_of(identity, world, agent, backoff, tls))
