"""Kernels of the simulated world: shortest ways, a second in the life of each car, where they are.

No clock and no generator: time is told, chance is a hash of (seed, car, how many were drawn). Cars
are taken in their order, so what one does is the same wherever the loop ran. Twins: the oracles in
`tests/simulation`.
"""

import math

import numpy as np

from motorcade.compiled import inlined, kernel
from motorcade.simulation.columns import Places, graph_of, no_cars
from motorcade.simulation.streets import round_trip

PARKED, MOVING, CHARGING = 0, 1, 2
HOME, WORK, ERRAND, CHARGER = 0, 1, 2, 3
UNREACHED = 255

GRAVITY_MPS2 = 9.81
AIR_KGPM3 = 1.2
MASS_KG = 1_900.0
DRAG_AREA_M2 = 0.55
ROLLING = 0.01
DRIVETRAIN = 0.9
AUXILIARY_W = 300.0
STANDBY_W = 20.0
BATTERY_J = 75 * 3.6e6
WALLBOX_W = 11_000.0
FAST_CHARGER_W = 150_000.0
TAPER_SOC = 0.6  # above it a fast charger gives less and less
CHARGE_LIMIT = 0.9
FAST_LIMIT = 0.8
SEEK_CHARGE = 0.2

COMFORT_MPS2 = 2.0  # braking that drivers plan with
HARD_MPS2 = 4.5
LIGHT_MPS2 = 3.0  # whoever would have to brake harder than this for a red light drives on
CREEP_MPS = 0.4
ARRIVED_M = 1.0
CAR_M = 7.0  # a car and the gap before it, standing
JAM_PER_M = 1 / CAR_M
FLOW_MIN = 0.2
START_S = 1.5  # until the next car of a queue moves
CYCLE_S = 70.0  # of traffic lights
GREEN = 0.48  # of the cycle, for either axis; the rest is amber and clearing
GIVE_WAY_MPS = 4.0
GIVE_WAY_STOPS = 0.35  # how often somebody is coming
GIVE_WAY_S = (1.0, 5.0)
PARK_BACK_M = 60.0
ERRANDS_NEAR = 4  # of so many drawn, the nearest
U53 = 1.0 / 9007199254740992.0


@inlined
def hashed(seed, stream, number):
    """A number in [0, 1) of (seed, stream, number): splitmix64's finisher, twice."""
    value = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(stream)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    value = (value ^ (value >> np.uint64(31))) + np.uint64(number) * np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    value = value ^ (value >> np.uint64(31))
    return np.float64(value >> np.uint64(11)) * U53


@kernel
def way_to(target, cost_s, graph, hop, left_s, heap):
    """Dijkstra from `target` backwards: `hop[node]` becomes which of its edges leads there fastest,
    counted from its first, `left_s[node]` how long it takes. `heap` is room for nodes and edges."""
    hop[:] = UNREACHED
    left_s[:] = np.inf
    left_s[target] = 0.0
    size = 1
    heap[0, 0], heap[0, 1] = 0.0, target
    while size > 0:
        far, node = heap[0, 0], np.int64(heap[0, 1])
        size -= 1
        last, last_node = heap[size, 0], heap[size, 1]
        place = 0
        while True:  # sift the last one down
            child = 2 * place + 1
            if child >= size:
                break
            if child + 1 < size and heap[child + 1, 0] < heap[child, 0]:
                child += 1
            if heap[child, 0] >= last:
                break
            heap[place, 0], heap[place, 1] = heap[child, 0], heap[child, 1]
            place = child
        heap[place, 0], heap[place, 1] = last, last_node
        if far > left_s[node]:
            continue
        for index in range(graph.entering_first[node], graph.entering_first[node + 1]):
            edge = graph.entering[index]
            other = graph.edge_from[edge]
            there = far + cost_s[edge]
            if there < left_s[other]:
                left_s[other] = there
                hop[other] = np.uint8(edge - graph.node_first_edge[other])
                place = size
                size += 1
                while place > 0 and heap[(place - 1) >> 1, 0] > there:  # sift up
                    above = (place - 1) >> 1
                    heap[place, 0], heap[place, 1] = heap[above, 0], heap[above, 1]
                    place = above
                heap[place, 0], heap[place, 1] = there, other


@kernel
def costs(seed, target, spread, graph, out):
    """Seconds per edge as those see it who drive to `target`: some know a quicker way."""
    for edge in range(len(out)):
        taste = 1.0 + spread * (hashed(seed, target + (1 << 40), edge) - 0.5)
        drive_s = graph.edge_length_m[edge] / graph.edge_limit_mps[edge]
        out[edge] = drive_s * taste + 1.0 + 12.0 * graph.node_light[graph.edge_to[edge]]


@inlined
def turn_mps(arriving_rad, leaving_rad):
    """How fast a car goes through a junction, by how far it turns."""
    straight = math.cos(leaving_rad - arriving_rad)
    if straight > 0.94:  # less than 20 degrees
        return 1e3
    if straight > 0.7:  # 45
        return 10.0
    if straight > -0.4:  # 115
        return 6.0
    return 3.0


@inlined
def is_green(now_s, node, arriving_rad):
    """Lights have two axes; each node has its own offset."""
    phase = (now_s + node * 37.0) % CYCLE_S / CYCLE_S
    if abs(math.sin(arriving_rad)) > 0.7071:
        phase = (phase + 0.5) % 1.0
    return phase < GREEN


@kernel
def choose(seed, now_s, hour, graph, places, cars, wanted):
    """Where the cars that set off now go. Fills `wanted` with places; returns how many cars.

    Places stand in groups: homes, from `work_from` on works, from `errand_from` errands, from
    `charger_from` chargers.
    """
    count = 0
    for row in range(len(cars.state)):
        if cars.state[row] == MOVING or cars.until_s[row] > now_s:
            continue
        full = cars.energy_j[row] >= FAST_LIMIT * BATTERY_J
        if cars.state[row] == CHARGING and cars.kind[row] == CHARGER and not full:
            continue
        draw = np.int64(cars.draws[row])
        pick = hashed(seed, row, draw)
        was = cars.kind[row]
        kind = HOME
        if cars.energy_j[row] < SEEK_CHARGE * BATTERY_J:
            kind = CHARGER
        elif was == HOME:
            kind = WORK if pick < (0.7 if 5.0 <= hour < 11.0 else 0.3) else ERRAND
        elif was == WORK:
            kind = HOME if pick < 0.65 else ERRAND
        elif pick > 0.6:
            kind = ERRAND if pick < 0.85 else WORK
        here = graph.edge_to[cars.edge[row]]
        target = cars.home[row]
        if kind == WORK:
            target = cars.work[row]
        elif kind != HOME:
            start = places.charger_from if kind == CHARGER else places.errand_from
            end = len(places.node) if kind == CHARGER else places.charger_from
            best = np.inf
            for number in range(ERRANDS_NEAR):
                drawn = hashed(seed, row, draw + 1 + number)
                candidate = np.int32(start + np.int64(drawn * (end - start)))
                node = places.node[candidate]
                east = (graph.node_lon_deg[node] - graph.node_lon_deg[here]) * 0.65
                away = abs(east) + abs(graph.node_lat_deg[node] - graph.node_lat_deg[here])
                if away < best and node != here:
                    best = away
                    target = candidate
        cars.draws[row] = draw + 2 + ERRANDS_NEAR
        if places.node[target] == here:  # it is there already: it thinks again in a minute
            cars.until_s[row] = now_s + 60.0
            cars.kind[row] = ERRAND
            continue
        cars.kind[row] = kind
        cars.target[row] = target
        cars.state[row] = MOVING
        cars.speed_mps[row] = 0.0
        cars.hold_s[row] = now_s
        cars.cleared[row] = -1
        cars.rank[row] = 0
        cars.back_m[row] = 2.0 + PARK_BACK_M * hashed(seed, row, draw + 1 + ERRANDS_NEAR)
        wanted[count] = target
        count += 1
    return count


@inlined
def safe_mps(gap_m, end_mps, step_s):
    """The fastest from which `end_mps` is reached after `gap_m` by planned braking, one step of
    reaction included (Krauss 1998, eq. 2.13)."""
    late = COMFORT_MPS2 * step_s
    return math.sqrt(late * late + end_mps * end_mps + 2 * COMFORT_MPS2 * max(gap_m, 0.0)) - late


@kernel
def step(seed, now_s, step_s, weight, dwell_s, graph, places, ways, cars, counts, queues):
    """Let every car live for `step_s`, until `now_s`.

    `ways[place]` is the row of `hop` that leads to the place. `counts` and `queues` are cars and
    standing cars per edge as the last step left them, and become those of this one. Each car takes
    the room of `weight` cars, so that a fleet larger than the city does not choke it.
    """
    count_now = np.zeros(len(counts), np.int32)
    queue_now = np.zeros(len(queues), np.int32)
    for row in range(len(cars.state)):
        if cars.state[row] != MOVING:
            _stand(now_s, step_s, cars, row)
            continue
        edge = cars.edge[row]
        count_now[edge] += 1
        speed = cars.speed_mps[row]
        if cars.hold_s[row] > now_s:
            _burn(cars, row, 0.0, 0.0, step_s)
            queue_now[edge] += 1
            continue
        target = places.node[cars.target[row]]
        hop = ways[cars.target[row]]
        crowd = weight * counts[edge] / (graph.edge_length_m[edge] + 30.0) / graph.edge_lanes[edge]
        flow = max(1.0 - crowd / JAM_PER_M, FLOW_MIN)
        wished = graph.edge_limit_mps[edge] * cars.taste[row] * flow
        gap = graph.edge_length_m[edge] - cars.along_m[row]
        standing = queues[edge] - (1 if speed < 0.3 else 0)
        reach = speed * step_s + speed * speed / (2 * COMFORT_MPS2) + 10.0
        ahead = edge
        stop_m = np.inf  # to where it must stand
        why = 0  # 1: parks, 2: a red light, 3: gives way
        hops = 0
        while gap < reach and hops < 32:
            hops += 1
            node = graph.edge_to[ahead]
            if node == target:
                back = min(cars.back_m[row], graph.edge_length_m[ahead] * 0.5)
                stop_m, why = max(gap - back, 0.0), 1
                wished = min(wished, safe_mps(stop_m, 0.0, step_s))
                break
            following = graph.node_first_edge[node] + hop[node]
            if graph.node_light[node] and not is_green(now_s, node, graph.edge_end_rad[ahead]):
                if speed * speed <= 2 * LIGHT_MPS2 * gap:
                    queued = CAR_M * weight * standing if ahead == edge else 0.0
                    stop_m, why = max(gap - 2.0 - queued, 0.0), 2
            elif (
                not graph.node_light[node]
                and graph.edge_class[ahead] > graph.node_best_class[node]
                and graph.node_best_class[node] < 5
                and cars.cleared[row] != ahead
            ):
                wished = min(wished, safe_mps(gap, GIVE_WAY_MPS, step_s))
                if hashed(seed, row, np.int64(ahead) * 31 + cars.draws[row]) < GIVE_WAY_STOPS:
                    stop_m, why = max(gap - 2.0, 0.0), 3
            if why:
                wished = min(wished, safe_mps(stop_m, 0.0, step_s))
                break
            bend = turn_mps(graph.edge_end_rad[ahead], graph.edge_begin_rad[following])
            bend = min(bend, graph.edge_limit_mps[following] * cars.taste[row])
            wished = min(wished, safe_mps(gap, bend, step_s))
            ahead = following
            gap += graph.edge_length_m[ahead]
        if cars.rank[row] > 0 and why != 2:  # green: those before it go first
            cars.hold_s[row] = now_s + START_S * weight * cars.rank[row]
            cars.rank[row] = 0
        if why != 2 or stop_m > ARRIVED_M:
            wished = max(wished, CREEP_MPS)
        elif speed < 1.0:
            wished = 0.0
            cars.rank[row] = max(cars.rank[row], min(standing, 40) + 1 if speed > 0.0 else 1)
        faster = cars.pull_mps2[row] * max(1.0 - speed / 50.0, 0.1) * step_s
        after = min(max(wished, speed - HARD_MPS2 * step_s, 0.0), speed + faster)
        if stop_m <= ARRIVED_M and after < 1.0 and why != 2:
            after = 0.0
            if why == 1:
                _burn(cars, row, speed, 0.0, step_s)
                _arrive(seed, now_s, dwell_s, cars, row)
                count_now[edge] -= 1
                continue
            cars.cleared[row] = ahead
            least, most = GIVE_WAY_S
            drawn = hashed(seed, row, np.int64(ahead) * 37 + cars.draws[row])
            cars.hold_s[row] = now_s + least + (most - least) * drawn
        _burn(cars, row, speed, after, step_s)
        moved = (speed + after) / 2 * step_s
        cars.odometer_m[row] += moved
        along = cars.along_m[row] + moved
        hops = 0
        while along >= graph.edge_length_m[edge]:
            node = graph.edge_to[edge]
            if node == target or hops == 32:  # it was too fast to stop where it meant to
                along = graph.edge_length_m[edge]
                break
            hops += 1
            along -= graph.edge_length_m[edge]
            edge = graph.node_first_edge[node] + hop[node]
        cars.edge[row] = edge
        cars.along_m[row] = along
        if after < 0.3:
            queue_now[edge] += 1
    counts[:] = count_now
    queues[:] = queue_now


@kernel
def follow(step_s, on_road, speeds, cars):
    """A step of cars whose speeds are told: those on the road drive so fast, the others stand."""
    for row in range(len(on_road)):
        if on_road[row]:
            before = cars.speed_mps[row]
            cars.state[row] = MOVING
            _burn(cars, row, before, speeds[row], step_s)
            cars.odometer_m[row] += (before + speeds[row]) / 2 * step_s
        else:
            cars.state[row] = PARKED
            cars.speed_mps[row] = 0.0
            _stand(0.0, step_s, cars, row)


@inlined
def _burn(cars, row, before, after, step_s):
    """The energy of a step from one speed to the next: mass, air, rolling, the car's own needs."""
    mean = (before + after) / 2
    pull = (after - before) / step_s
    force = MASS_KG * (pull + (GRAVITY_MPS2 * ROLLING if mean > 0.0 else 0.0))
    force += 0.5 * AIR_KGPM3 * DRAG_AREA_M2 * mean * mean
    wheel = force * mean
    power = (wheel / DRIVETRAIN if wheel > 0.0 else wheel * DRIVETRAIN) + AUXILIARY_W
    cars.speed_mps[row] = after
    cars.pull_now_mps2[row] = pull
    cars.power_w[row] = power
    left = cars.energy_j[row] - power * step_s
    cars.energy_j[row] = min(max(left, 0.0), BATTERY_J)


@inlined
def _arrive(seed, now_s, dwell_s, cars, row):
    """Parked: how long it stays, and whether it is plugged in."""
    kind = cars.kind[row]
    drawn = hashed(seed, row, cars.draws[row])
    plug = hashed(seed, row, cars.draws[row] + 1)
    cars.draws[row] += 2
    cars.until_s[row] = now_s + dwell_s[kind] * (0.3 + 1.4 * drawn)
    soc = cars.energy_j[row] / BATTERY_J
    at_home = kind == HOME and soc < CHARGE_LIMIT and plug < 1.2 - soc
    cars.state[row] = CHARGING if kind == CHARGER or at_home else PARKED
    cars.power_w[row] = 0.0


@inlined
def _stand(now_s, step_s, cars, row):
    """Parked or charging for a step."""
    if cars.state[row] == CHARGING:
        soc = cars.energy_j[row] / BATTERY_J
        fast = cars.kind[row] == CHARGER
        watts = FAST_CHARGER_W if fast else WALLBOX_W
        if fast and soc > TAPER_SOC:
            watts *= max(1.0 - (soc - TAPER_SOC) / (1.05 - TAPER_SOC), 0.1)
        cars.power_w[row] = -watts
        cars.energy_j[row] = min(cars.energy_j[row] + watts * step_s, BATTERY_J)
        if soc >= (FAST_LIMIT if fast else CHARGE_LIMIT):
            cars.state[row] = PARKED
    else:
        cars.power_w[row] = STANDBY_W
        cars.energy_j[row] = max(cars.energy_j[row] - STANDBY_W * step_s, 0.0)


@kernel
def locate(graph, edge, along_m, lon_deg, lat_deg, heading_deg):
    """Where cars at `along_m` of `edge` are; headings clockwise from north, 0..360."""
    for row in range(len(edge)):
        first, last = graph.edge_first_point[edge[row]], graph.edge_first_point[edge[row] + 1] - 1
        low, high = first, last  # the piece of the line that holds the car begins at `low`
        while high - low > 1:
            middle = (low + high) >> 1
            if graph.point_m[middle] <= along_m[row]:
                low = middle
            else:
                high = middle
        length = graph.point_m[high] - graph.point_m[low]
        part = 0.0
        if length > 0.0:
            part = min(max((along_m[row] - graph.point_m[low]) / length, 0.0), 1.0)
        east = graph.point_lon_deg[high] - graph.point_lon_deg[low]
        north = graph.point_lat_deg[high] - graph.point_lat_deg[low]
        lon_deg[row] = graph.point_lon_deg[low] + part * east
        lat_deg[row] = graph.point_lat_deg[low] + part * north
        flat = math.cos(math.radians(lat_deg[row]))
        heading_deg[row] = math.degrees(math.atan2(east * flat, north)) % 360.0


def warm() -> None:
    """Compile on production types: one car on a street of two nodes."""
    graph = graph_of(round_trip())
    places = Places(np.array([0, 1, 0, 1], np.int32), 1, 2, 3)
    cars = no_cars(1)
    cars.work[0] = 1
    ways = np.zeros((4, 2), np.uint8)
    cost_s, left_s, heap = np.empty(2), np.empty(2), np.empty((4, 2))
    costs(1, 0, 0.0, graph, cost_s)
    way_to(0, cost_s, graph, ways[0], left_s, heap)
    choose(1, 1.0, 8.0, graph, places, cars, np.empty(1, np.int32))
    counts = np.zeros(2, np.int32)
    step(1, 1.0, 1.0, 1.0, np.ones(4), graph, places, ways, cars, counts, counts.copy())
    follow(1.0, np.ones(1, np.bool_), np.ones(1), cars)
    locate(graph, cars.edge, cars.along_m, np.empty(1), np.empty(1), np.empty(1))
