"""Every limit and setting, with its unit as the last word of its name, in one place.

`Config` is immutable and handed down from the composition root. `with_overrides` applies the
command line's `--set group.name=value`. Each field's comment says what happens at the limit.
"""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, get_type_hints


class ConfigError(ValueError):
    """A setting that does not exist, or a value that does not fit it; the text says which."""


@dataclass(frozen=True, slots=True)
class TimeConfig:
    future_s_max: int = 330  # P3: cars run up to 5 min ahead after waking; beyond: received time


@dataclass(frozen=True, slots=True)
class LogConfig:
    partitions: int = 64  # fixed at the first start of a data directory
    segment_bytes_max: int = 64 << 20  # a new segment file starts beyond this
    segment_frames_max: int = 65_536  # ... or this many commits: opening scans them at 4 µs each
    segment_age_s_max: int = 3_600  # ... or after this long, so that retention by age can act
    segment_allocate_bytes: int = 16 << 20  # reserved ahead on disk; given back when it is sealed
    housekeeping_s: float = 1.0  # an idle writer looks this often at ages and retention
    # One bulk buffer: rows. It bounds a turn of the gateway's loop, and so a command's wait (0010).
    batch_records_max: int = 8_192
    batch_bytes_max: int = 32 << 20  # one bulk buffer: bytes; above the largest record (16 MB)
    queue_bytes_max: int = 64 << 20  # waiting in one writer; append then fails with LogBusyError
    inline_bytes_max: int = 0  # a commit up to this its caller makes: for a log that is in memory
    bulk_commit_spacing_ms: float = (
        10.0  # least time from a commit of many records to the next (0009)
    )
    reader_poll_ms: int = 50  # fallback when a doorbell ring is lost; a new writer's: 1 s
    # Most that one poll() returns, rounded up to a frame. Small enough that the next poll gets the
    # same memory back: replay costs 0.05 µs of CPU per record at 1 MiB, 0.19 at 32 (page faults).
    reader_bytes_max: int = 1 << 20
    reader_chunk_bytes: int = 1 << 20  # one slice: read, checked and given at once, up to a frame
    # Bulk records are refused while less is free (or a tenth of a small disk): the rest is for
    # commands, sessions and snapshots.
    disk_free_bytes_min: int = 64 << 20
    disk_free_commands_bytes_min: int = 4 << 20  # new commands are; those under way need the rest
    retention_bulk_age_s: int = 7 * 86_400  # whole segments go when all of them is older
    retention_bulk_bytes: int = 50 << 30  # ... or, the oldest first, when a lane is larger
    retention_fast_age_s: int = 30 * 86_400  # the same for commands and their answers
    retention_fast_bytes: int = 5 << 30  # ... and their bytes


@dataclass(frozen=True, slots=True)
class KafkaConfig:
    """Settings of the Kafka engine of the log. Not part of `Config` until that engine is wired."""

    bootstrap: str  # host:port,... of the brokers
    deployment: str = "motorcade"  # prefix of topics, transactions and consumer groups
    partition_groups: int = 8  # Kafka partitions per writer and lane, fixed at its first start
    replication: int = -1  # copies of each partition; -1: the brokers' default
    message_bytes_max: int = 64 << 20  # one append and partition group; above the largest record
    timeout_s: float = 30.0  # a request to the brokers fails after this
    commit_s_max: float = 60.0  # a transaction that takes longer is given up; nothing is acked
    discovery_ms: int = 500  # how often a tailing reader looks for new writers


@dataclass(frozen=True, slots=True)
class DedupConfig:
    horizon_s: int = 3_600  # how long a Tesla record's identity is remembered, in received time
    gaps_per_stream_max: int = 64  # islands of sequences remembered per (vehicle, stream)
    stream_idle_s_max: int = 30 * 86_400  # a silent stream may be forgotten after this
    streams_max: int = 4_000_000  # 128 B each at most; beyond: the longest silent are forgotten
    identities_max: int = 8_000_000  # 80 B each at most; beyond: the oldest are forgotten


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    connections_max: int = 18_000  # per process; 20,000 open files are allowed here (design §7)
    turn_spacing_ms: float = 5.0  # least time between turns in a stream of MQTT packets (0010)
    read_buffer_bytes: int = 256 << 10  # shared by all sockets of a process
    write_buffer_bytes_max: int = (
        1 << 20
    )  # a peer that does not read its acks is closed beyond this
    acks_per_turn_max: int = 4_096  # ack writes yield to the loop after this many
    # TLS admission of each door; more wait in the listen queue. 64 keep a core busy at a round trip
    # of 100 ms, and delay the acks of those who are in by 0.1 s at most, all of them in one turn.
    handshakes_concurrent_max: int = 64
    handshake_crowded_s_max: float = 3.0  # when all places are taken, a slower peer makes way
    accepts_per_s: float = 2_000.0  # of each door, sustained; more wait in the listen queue; 0: any
    accepts_burst: int = 4_000  # so many at once on top
    drain_s_max: float = 5.0  # SIGTERM: how long in-flight records may take to commit


@dataclass(frozen=True, slots=True)
class TelemetryConfig:
    frame_bytes_max: int = (
        1_000_000  # above: the error answer, connection kept (protocol page §1.1)
    )
    frame_bytes_hard_max: int = 16_000_000  # above: close 1009
    ping_s: float = 30.0  # a ping is sent after this long without a frame
    idle_s_max: float = 90.0  # closed after this long without a frame or pong
    rate_records_per_s: float = (
        1_000.0  # per vehicle, sustained; above: error `rate limit exceeded`
    )
    rate_records_burst: int = 10_000  # per vehicle, token bucket depth
    handshake_s_max: float = 10.0  # TLS and HTTP upgrade
    request_bytes_max: int = 8_192  # HTTP request head; longer: 431
    connections_per_vehicle_max: int = 64  # beyond: its oldest is closed, 1008
    odd_frames_per_read_max: int = 1_024  # control frames and fragments; more in one read: 1008
    partial_bytes_max: int = 256 << 20  # frames come in part, of all connections; above: close 1013
    close_s_max: float = 5.0  # a peer's time to answer our close frame, then TCP is closed
    client_ca_file: str = ""  # PEM with further vehicle CAs to trust, e.g. Tesla's


@dataclass(frozen=True, slots=True)
class MqttConfig:
    packet_bytes_max: int = 1 << 20  # fixed header included; 5.0 clients are told it
    connect_s_max: float = 10.0  # from TCP accept to CONNECT
    keep_alive_s_max: int = 1_200  # 5.0 clients are told; 0 or more is cut to it
    receive_max: int = 1_000  # QoS 1 publishes in flight from one client
    inflight_max: int = 32  # QoS 1 messages in flight to one client
    session_expiry_s_max: int = 7 * 86_400  # 3.1.1 clean_session=0 gets this
    subscriptions_per_session_max: int = 1_000  # beyond: SUBACK 0x97
    subscriptions_max: int = 1_000_000  # of all sessions; beyond: SUBACK 0x97
    connections_max: int = 17_000  # beyond: CONNACK 0x89; below gateway's, so that they are told
    sessions_per_account_max: int = 10_000  # of one operator; beyond: CONNACK 0x97
    connects_per_client_per_s: float = 5.0  # sustained; beyond: CONNACK 0x9F
    connects_per_client_burst: int = 100  # so many at once; beyond: as above
    failed_logins_per_address_per_s: float = 1.0  # sustained; beyond: CONNACK 0x97; 0: no limit
    failed_logins_per_address_burst: int = 100  # so many at once; IPv6: of one /64
    failed_logins_per_account_per_s: float = 0.02  # ... of one user name from there; 0: no limit
    failed_logins_per_account_burst: int = 10  # so many at once
    publishes_per_s: float = 100_000.0  # per connection, sustained; beyond: 0x96; 0: no limit
    publishes_burst: int = 1_000_000  # so many at once; beyond: as above
    retained_messages_max: int = 100_000  # beyond: PUBACK 0x97
    retained_bytes_max: int = 64 << 20  # with 400 for each message; beyond: PUBACK 0x97
    topic_levels_max: int = 16  # of topic names and filters; more: invalid, or closed (3.1.1)
    topic_bytes_max: int = 1_024  # the same for their length
    topic_alias_max: int = 16  # each way and connection; 5.0 clients are told; 0: none
    sys_interval_s: float = 10.0  # operators who subscribe to $SYS are told this often
    websocket_request_bytes_max: int = 8_192  # HTTP request head; longer: 431
    websocket_control_frames_max: int = 64  # pings and pongs; more in one read: 1008


@dataclass(frozen=True, slots=True)
class CommandsConfig:
    response_s_max: float = 10.0  # a POST answers by then: 408 with the command's id
    expires_s_default: int = 30  # where the caller names none (X-Command-Expires-S)
    expires_s_max: int = 300  # a caller that asks for more gets 400
    in_flight_per_vehicle_max: int = 32  # more: 429
    in_flight_max: int = 10_000  # of this router; more: 503
    unresolved_per_vehicle_max: int = 256  # outcome_unknown, until its journal answers; more: 429
    unresolved_max: int = 100_000  # outcome_unknown, of this router; more: 503
    overdue_grace_s: float = 2.0  # after the expiry, for news on its way; then outcome_unknown
    message_expires_s: int = 60  # times and queries to cars are not delivered after this
    hello_age_s_max: int = 30  # an older hello (the router was down) gets no time, its car is gone
    notice_wait_ms: int = 20  # a transition that nobody waits for waits so long to share a commit
    hellos_per_s: float = 2.0  # per vehicle, sustained; more are not answered
    hellos_burst: int = 20  # per vehicle, at once on top of that
    courier_poll_ms: float = (
        200.0  # how often it is looked whether an approval waits for a car that is there
    )
    courier_rest_s: float = 5.0  # after a car did not answer, until it is asked again
    ledger_commit_s: float = 0.5  # the ledger, an index of the log, is this far behind at most
    ledger_s_max: int = 30 * 86_400  # timelines and idempotency keys are kept this long


@dataclass(frozen=True, slots=True)
class StateConfig:
    spacing_ms: float = 10.0  # least time between looks at the log while records keep coming
    snapshot_s: float = 30.0  # live state is written to disk this often
    snapshot_records: int = 100_000  # ... or after this many: a restart replays what came since
    vehicles_max: int = 1_000_000  # records of more vehicles are counted and not shown
    signals_per_vehicle_max: int = 2_048  # unknown names beyond this are counted and dropped
    text_bytes_max: int = 1_024  # longer text values are cut in state, never in the log


@dataclass(frozen=True, slots=True)
class PastConfig:
    """Time travel: kept snapshots of live state, and the replays that start from them."""

    keep_s: float = 300.0  # a snapshot is kept this often while records come
    keep_fine_s: float = 86_400.0  # ... for so long; after that ...
    coarse_s: float = 3_600.0  # ... one in so long, until `log.retention_bulk_age_s`
    kept_bytes_max: int = 10 << 30  # of all kept ones; beyond: fewer, the oldest go last but one
    disk_free_bytes_min: int = 1 << 30  # with less free none is kept; replays take longer then
    open_s_max: float = 60.0  # opening an instant takes at most this; beyond it is refused
    settle_s: float = 1.0  # an instant so new is opened when its records are surely in the log
    recheck_s: float = 10.0  # an opened as-corrected state is good so long: late data may come
    replays_max: int = 1  # instants opened at once; more wait
    waiting_max: int = 32  # for that; more: refused at once
    opened_max: int = 6  # states of past instants in memory; the one unused longest goes
    opened_bytes_max: int = 1 << 30  # ... and so much of them, at least one
    ahead_s: float = 300.0  # playing as-corrected reads so far ahead at once
    ahead_bytes_max: int = 64 << 20  # ... but no more samples than this


@dataclass(frozen=True, slots=True)
class ApiConfig:
    charging_sites_file: str = ""  # places to charge, JSON; none: apps are told of none
    charging_sites_max: int = 10_000  # of that file: more end the start with an error
    charging_site_m_max: float = 250.0  # a car that charges so near one stands at it
    body_bytes_max: int = 1 << 20  # larger requests: 413
    streams_max: int = 5_000  # open app streams, WebSockets and server-sent events
    stream_queue_changes_max: int = 1_000  # a slower client gets a fresh snapshot instead
    stream_replay_bytes_max: int = 64 << 10  # kept of what was sent, for a client that comes back
    stream_parked_s_max: float = 60.0  # so long a client may be away and go on where it was
    streams_parked_max: int = 2_000  # ... of so many clients
    stream_comment_s: float = 15.0  # server-sent events: silence is broken this often
    key_fetch_s_max: float = 5.0  # in all, for an app's key from its domain; beyond: 424
    key_lookups_max: int = 4  # names of such domains looked up at once; more wait
    answers_bytes_max: int = 32 << 20  # of `vehicle_data` kept while nothing new came: 6,000
    residence_s_max: float = 1.0  # an account's move, an app's registration show within this
    token_ttl_s: int = 28_800  # what `motorcade token` gives unless told otherwise
    sign_ins_concurrent_max: int = 2  # passwords checked at once; more wait
    sign_ins_waiting_max: int = 100  # for that; beyond: 429, but for browsers known to the person
    failed_sign_ins_per_pair_per_s: float = 0.02  # of an address with an e-mail; beyond: 429
    failed_sign_ins_per_pair_burst: int = 10  # so many at once; both also of a known browser
    failed_sign_ins_per_address_per_s: float = 0.2  # the same, of an address; IPv6: of one /64
    failed_sign_ins_per_address_burst: int = 50  # so many at once
    failed_sign_ins_per_email_per_s: float = 0.1  # the same, of an e-mail from anywhere
    failed_sign_ins_per_email_burst: int = 100  # so many at once
    known_browser_s: int = 180 * 86_400  # a browser's cookie says so long that it signed in before
    access_flush_s: float = 3.0  # so long what apps asked waits in memory; a crash loses it
    share_token_s: int = 900  # an access token of a shared link is good this long
    failed_shares_per_address_per_s: float = 0.1  # links that are none, tried from one address; 429
    failed_shares_per_address_burst: int = 20  # so many at once; IPv6: of one /64
    revocation_poll_ms: int = 50  # another process's revocation ends open streams by then


@dataclass(frozen=True, slots=True)
class DashboardConfig:
    """The page: what a car's state is, what its viewers get."""

    moving_speed_mps: float = 0.5  # faster than this a car moves
    silent_s: float = 300.0  # a car that drove or charged and has not been heard so long is silent
    silent_resting_s: float = 6 * 3_600.0  # the same of one that was parked or slept
    viewers_max: int = 2_000  # open streams of pages; beyond: closed, 1013
    hello_s_max: float = 5.0  # from a stream's opening to its token
    rate_default_hz: float = 2.0  # frames to a page that names no rate
    rate_max_hz: float = 4.0  # ... and to one that asks for more
    view_cars_max: int = 20_000  # more in view: density instead of cars
    viewer_bytes_per_s_max: int = 1 << 20  # of frames to one viewer; what is over waits
    page_vehicles_max: int = 500  # of the list at once
    system_s: float = 1.0  # the platform's own figures are this old at most, for all who look
    system_window_s: float = 300.0  # ... and its percentiles are of so long
    page_rows_max: int = 500  # the same of other lists: people
    share_viewers_max: int = 50  # open streams of one shared link; beyond: closed, 1013
    driven_vehicles_max: int = 10_000  # somebody without a role sees so many that they drive
    limits_file: str = ""  # what is too low or too high, by signal, JSON; none: the catalogue's
    limits_max: int = 1_000  # signals of that file: more end the start with an error


@dataclass(frozen=True, slots=True)
class WorkConfig:
    """The page's work queue."""

    look_s: float = 2.0  # the queue is this old at most, for all who look
    settle_s: float = 30.0  # after a start nothing closes so long: state may not have caught up
    fold_s: float = 180.0  # what began within so long, of the same kind, is one item ...
    fold_cars_min: int = 3  # ... if it is of so many vehicles
    silent_s_max: int = 30 * 86_400  # a car that has been silent longer is no work any more
    command_s_max: int = 86_400  # nor is a command that failed so long ago
    commands_max: int = 1_000  # failed ones that are looked at; the newest
    items_max: int = 500  # told of at once; the worst
    members_max: int = 20  # vehicles of a folded item that are named
    notes_max: int = 200  # on an item; more: 422
    comment_bytes_max: int = 2_000  # longer: 400
    snooze_s_max: int = 7 * 86_400  # longer: 400
    undo_s: float = 10.0  # so long one may undo what one did
    closed_max: int = 100  # closed items that are told of; those that somebody noted something on
    closed_s_max: int = 30 * 86_400  # ... and are kept so long


@dataclass(frozen=True, slots=True)
class RpcConfig:
    """gRPC."""

    message_bytes_max: int = 4 << 20  # one batch of samples; larger: RESOURCE_EXHAUSTED
    request_bytes_max: int = 64 << 10  # any other request; as above
    metadata_bytes_max: int = 16 << 10  # of one call; as above
    connections_max: int = 1_000  # per listener; further ones are closed
    calls_per_connection_max: int = 100  # at once; further ones wait in the client
    calls_max: int = 5_000  # at once, in all; beyond: RESOURCE_EXHAUSTED
    keepalive_s: float = 30.0  # a silent client is asked, so that a dead one is noticed
    keepalive_s_max: float = 20.0  # ... and has so long to answer
    client_ping_s_min: float = 10.0  # a client that pings more often is told to calm down
    idle_s_max: float = 300.0  # a connection without calls is closed
    samples_max: int = 10_000  # in a batch; more: INVALID_ARGUMENT
    stream_bytes_max: int = 255  # the name of a sender's stream; longer: INVALID_ARGUMENT
    unacked_bytes_max: int = 8 << 20  # of one call, waiting for the disk; then reading pauses
    busy_retry_ms: int = 20  # when the log's queue is full, a call tries again after this
    health_poll_s: float = 1.0  # Watch of the health service looks this often, once for all
    watches_max: int = 100  # calls of Watch at once, which need no token; as calls_max


@dataclass(frozen=True, slots=True)
class RatesConfig:
    """Of one app for one vehicle: a minute's worth at once, then evenly."""

    data_per_minute: int = 300  # answers about it; beyond: 429 with Retry-After; 0: no limit
    commands_per_minute: int = 120  # commands to it; as above
    wakes_per_minute: int = 15  # wake_up, which Go clients repeat every 10 s; as above
    registrations_per_minute: int = 10  # of the app itself, each a look at its domain; as above
    entries_max: int = 100_000  # beyond, who has not asked for longest is forgotten: starts anew


@dataclass(frozen=True, slots=True)
class EnergyConfig:
    products_max: int = 10_000  # vehicles, and as many sites, in one list of products
    confirm_s_max: float = 2.0  # "Updated" waits so long for the site's sample to show it
    ledger_commit_s: float = 5.0  # histories are this far behind the log at most
    ledger_s_max: int = 2 * 366 * 86_400  # ... and reach this far back: 105,000 points a year
    history_intervals_max: int = 2_016  # in one answer: a week of five minutes; more: 400
    history_events_max: int = 1_000  # outages, charging sessions; the newest are given
    sessions_per_vehicle_max: int = 1_000  # charges of a car; the oldest go, also by ledger_s_max


@dataclass(frozen=True, slots=True)
class HistoryConfig:
    spacing_ms: float = 1_000.0  # how often the writer looks at the log: an idle look costs 0.1 ms
    flush_s: float = 60.0  # what was read is written this often
    flush_samples_max: int = 1_000_000  # ... or when so many wait: 50 MB of memory
    retry_s: float = 10.0  # after a disk took nothing, or had no room
    disk_free_bytes_min: int = 1 << 30  # with less free (or a fifth of a small disk) it waits
    window_s: int = 3_600  # of event time: files are merged into one for each
    retired_s: int = 600  # a merged file stays so long for who still reads it, backups above all
    retention_age_s: int = 366 * 86_400  # files go whole, when all of one is older
    retention_bytes: int = 100 << 30  # ... or, the oldest first, beyond this
    tail_bytes_max: int = 256 << 20  # of the log, for one question; beyond: 503, it is behind
    rows_max: int = 1_000_000  # read for one answer; more: 422, ask for less time
    cells_max: int = 500_000  # values in one answer of the API, nulls too; more: 422
    span_s_max: int = 366 * 86_400  # of one question; longer: 400
    buckets_max: int = 10_000  # of one question; more: 400
    known_s_max: float = 3_600.0  # a fix so long before a span still says whether it is in a zone
    open_files_max: int = 64  # files kept open for the next question
    queries_max: int = 4  # answered at once; more: 503
    across_queries_max: int = 2  # ... of them, across vehicles
    query_s_max: float = 20.0  # a question across vehicles is given up after this: 503
    within_s_max: float = 5.0  # who was in an area is told, as far as found, after this
    within_vehicles_max: int = 10_000  # told in one answer, the latest
    area_corners_max: int = 500  # of one question; more: 400
    explain_s: float = 3_600.0  # a value is explained by the records of so long before it ...
    explain_s_max: float = 2.0  # ... as far as they are found in the log within so long
    explains_max: int = 2  # explained at once; more: 503
    exports_max: int = 4  # downloads under way; more: 503
    export_s_max: float = 3_600.0  # a download that takes longer, for a slow reader, is broken off
    track_gap_s: float = 120.0  # without a fix for longer, a track's next segment begins
    query_bytes_max: int = 256 << 20  # ... or when it takes more memory
    timeline_vehicles_max: int = 100_000  # the vehicles of one account, in a timeline


@dataclass(frozen=True, slots=True)
class HealthConfig:
    answer_s_max: float = 1.0  # a process that has not told its figures by then counts as down
    commit_s_max: float = 10.0  # not ready while a commit takes longer: the disk is stuck
    state_lag_s_max: float = 30.0  # not ready while live state is further behind the log
    state_silent_s_max: float = 5.0  # not ready when its follower has not looked for so long
    disk_free_bytes_min: int = 1 << 30  # `motorcade doctor` calls a disk with less nearly full
    stuck_s_max: float = 60.0  # not live when it has not looked for so long: start it again


@dataclass(frozen=True, slots=True)
class TracesConfig:
    otlp_url: str = ""  # where traces go by OTLP over HTTP; none: nothing is traced
    sample_every_records: int = 10_000  # one record in so many of a partition is traced; 0: none


@dataclass(frozen=True, slots=True)
class VehicleConfig:
    buffer_bytes_max: int = (
        64 << 20
    )  # store-and-forward on disk; the oldest go first, and are counted
    inflight_max: int = 100  # unacknowledged publishes
    reconnect_s_min: float = 0.2  # first wait after a lost connection, doubled up to ...
    reconnect_s_max: float = 30.0  # ... this
    sample_s: float = 1.0  # how often a simulated car sends
    sleep_after_s: float = 600.0  # parked and unused so long, a car falls asleep
    wake_s: float = 3.0  # from a call until it is awake
    asleep_sample_s: float = 60.0  # how often a sleeping car sends
    park_s_max: float = 90.0  # between drives, unless something holds it
    journal_commands_max: int = 10_000  # commands a car remembers; the oldest are forgotten
    journal_responses_bytes_max: int = 4 << 20  # of signed commands; the oldest are blanked
    server_time_age_s_max: float = 86_400.0  # authenticated time older than this is asked anew
    pin_tries_max: int = 5  # wrong PINs of a mode in a row, then it is locked ...
    pin_lock_s: float = 900.0  # ... this long, the right PIN too
    signed_commands: str = "supported"  # Tesla's protocol in the car: none, supported or required
    signing_keys_max: int = 20  # slots of its key list; 1 to 32
    otlp_url: str = ""  # where `motorcade drive` traces commands to, by OTLP over HTTP; none: off


@dataclass(frozen=True, slots=True)
class RegistryConfig:
    busy_s_max: float = 5.0  # wait for another process's commit; beyond: RegistryUnavailableError
    vehicles_per_call_max: int = 100_000  # added at once; more: InvalidVinError says so
    deny_filters_max: int = 100  # per operator
    code_s: int = 120  # an authorisation code is good this long
    refresh_token_s: int = 90 * 86_400  # an unused refresh token is good this long, as Tesla's
    refresh_again_s: int = 86_400  # the refresh token used last may be used again this long
    sessions_per_grant_max: int = 100  # of one app for one person; more: the oldest ends
    sign_in_s: int = 8 * 3_600  # a browser stays signed in this long
    password_characters_min: int = 10  # of a person; shorter ones are refused
    password_characters_max: int = 256  # longer ones are refused unread
    password_passes: int = 3  # argon2id, RFC 9106 §4, second choice
    password_memory_kib: int = 65_536  # the same; so much for each sign-in under way
    apps_per_person_max: int = 100  # registered on the page; the command line has no limit
    redirect_uris_max: int = 20  # per app
    shares_per_person_max: int = 50  # shared links of one person that are open; more: 422
    share_days_max: int = 90  # a link that is to be open for longer is refused
    drivers_max: int = 5  # of a vehicle, with pending invitations; more: 422
    invitation_s: int = 86_400  # how long an invitation to drive is good
    named_keys_max: int = 20  # of a person, by POST users/keys; more: 422
    access_log_s: int = 90 * 86_400  # what apps asked of a vehicle is kept so long for its owner
    accesses_per_vehicle_max: int = 10_000  # the access log's rows of one vehicle; more: older go
    audit_s: int = 366 * 86_400  # who did what by page and API is kept so long for admins
    audit_rows_max: int = 100_000  # ... of each kind of deed the newest: some 10 MB a kind
    privacy_zones_max: int = 20  # of a vehicle; more are refused
    privacy_radius_m_max: int = 50_000  # of a zone; more is refused
    privacy_grid_m_max: int = 100_000  # the width of a precision limit; more is refused


@dataclass(frozen=True, slots=True)
class IdentityConfig:
    ca_s: int = 30 * 365 * 86_400  # how long our CA certificates are good
    server_certificate_s: int = 397 * 86_400  # more is refused by some clients
    server_renew_s: int = 60 * 86_400  # a start with less than this left makes a new one
    server_names: str = ""  # further names and addresses of our doors, separated by commas
    vehicle_certificate_s: int = 10 * 365 * 86_400  # without `vehicle renew`
    clock_skew_s: int = 3_600  # certificates are good this long before they were made
    token_ttl_s_max: int = 366 * 86_400  # longer access tokens are refused
    token_bytes_max: int = 8_192  # longer bearers are refused unread
    region: str = "na"  # na, eu or cn, or another with a public_url: `users/region`, claim ou_code
    public_url: str = ""  # where apps reach the API; none: Tesla's base URL of the region
    token_key_s: int = 90 * 86_400  # a start with an older key makes a new one; older ones verify
    app_token_s: int = 28_800  # an app's access token is good this long, as Tesla's


@dataclass(frozen=True, slots=True)
class SupervisorConfig:
    restart_s: float = 0.5  # wait before a dead process is started again, doubled up to ...
    restart_s_max: float = 8.0  # ... this; the contract is "running again within 15 s"
    ready_s_max: float = 240.0  # a first start compiles kernels
    drain_s_max: float = 20.0  # all processes' drain after SIGTERM; who is late gets SIGKILL


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of one deployment."""

    time: TimeConfig = field(default_factory=TimeConfig)
    log: LogConfig = field(default_factory=LogConfig)
    dedup: DedupConfig = field(default_factory=DedupConfig)
    gateway: GatewayConfig = field(default_factory=GatewayConfig)
    telemetry: TelemetryConfig = field(default_factory=TelemetryConfig)
    mqtt: MqttConfig = field(default_factory=MqttConfig)
    commands: CommandsConfig = field(default_factory=CommandsConfig)
    state: StateConfig = field(default_factory=StateConfig)
    past: PastConfig = field(default_factory=PastConfig)
    api: ApiConfig = field(default_factory=ApiConfig)
    dashboard: DashboardConfig = field(default_factory=DashboardConfig)
    work: WorkConfig = field(default_factory=WorkConfig)
    rpc: RpcConfig = field(default_factory=RpcConfig)
    rates: RatesConfig = field(default_factory=RatesConfig)
    energy: EnergyConfig = field(default_factory=EnergyConfig)
    history: HistoryConfig = field(default_factory=HistoryConfig)
    health: HealthConfig = field(default_factory=HealthConfig)
    traces: TracesConfig = field(default_factory=TracesConfig)
    vehicle: VehicleConfig = field(default_factory=VehicleConfig)
    registry: RegistryConfig = field(default_factory=RegistryConfig)
    identity: IdentityConfig = field(default_factory=IdentityConfig)
    supervisor: SupervisorConfig = field(default_factory=SupervisorConfig)

    def with_overrides(self, settings: list[str]) -> "Config":
        """Apply `group.name=value` settings, in order.

        Raises:
            ConfigError: no such setting, or the value is not of its type.
        """
        config = self
        for setting in settings:
            config = _override(config, setting)
        return config


def _override(config: Config, setting: str) -> Config:
    path, equals, text = setting.partition("=")
    group_name, dot, name = path.strip().partition(".")
    if not equals or not dot:
        raise ConfigError(f"--set {setting!r}: write it as group.name=value")
    group: Any = getattr(config, group_name, None)
    if group_name not in {f.name for f in dataclasses.fields(config)} or group is None:
        groups = ", ".join(f.name for f in dataclasses.fields(config))
        raise ConfigError(f"--set {setting!r}: no group {group_name!r}; there are {groups}")
    kinds = get_type_hints(type(group))
    if name not in kinds:
        raise ConfigError(
            f"--set {setting!r}: {group_name} has no {name!r}; it has {', '.join(kinds)}"
        )
    value = _read(setting, kinds[name], text.strip())
    return dataclasses.replace(config, **{group_name: dataclasses.replace(group, **{name: value})})


def _read(setting: str, kind: type, text: str) -> int | float | str:
    if kind is str:
        return text
    try:
        value = int(text) if kind is int else float(text)
    except ValueError as error:
        raise ConfigError(f"--set {setting!r}: {text!r} is not a {kind.__name__}") from error
    if not 0 <= value < math.inf:
        raise ConfigError(f"--set {setting!r}: must be a number from 0 on, and finite")
    return value
