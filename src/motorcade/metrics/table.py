"""Every metric, a table: name, type, unit, help, labels. `docs/operating/metrics.md` is its print.

What reads each value stands in `gateway.py`, `api.py`, `reader.py`, `lanes.py` and `process.py`
beside this file. Labels are words of ours and few: a figure per vehicle would be a leak and a flood.
"""

from typing import Final

from motorcade.metrics.figures import Kind, Metric

C, G, H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

PROCESSES: Final = (
    Metric("motorcade_process_up", G, "", "1 while the process answers; 0: dead or stuck.", ("process",)),
    Metric("motorcade_process_restarts_total", C, "", "Starts after the first, by the supervisor.", ("process",)),
    Metric("motorcade_process_uptime_seconds", G, "s", "Since the process was ready.", ("process",)),
    Metric("motorcade_process_cpu_seconds_total", C, "s", "User and system time.", ("process",)),
    Metric("motorcade_process_resident_memory_bytes", G, "B", "Physical memory in use.", ("process",)),
    Metric("motorcade_process_open_fds", G, "", "Open file descriptors.", ("process",)),
    Metric("motorcade_process_max_fds", G, "", "How many it may open.", ("process",)),
)  # fmt: skip

GATEWAY: Final = (
    Metric("motorcade_gateway_connections", G, "", "Open connections, by door: mqtt, mqtts, mqtt_ws, mqtt_wss, telemetry.", ("door",)),
    Metric("motorcade_gateway_connections_total", C, "", "Connections that were accepted.", ("door",)),
    Metric("motorcade_gateway_handshakes", G, "", "TLS and WebSocket handshakes under way.", ("door",)),
    Metric("motorcade_gateway_accept_waits_total", C, "", "Times that gateway.accepts_per_s left peers in the listen queue.", ("door",)),
    Metric("motorcade_gateway_sessions", G, "", "MQTT sessions, connected or kept.", ()),
    Metric("motorcade_gateway_records_total", C, "", "Records taken in; door mqtt here and below: all four of MQTT.", ("door",)),
    Metric("motorcade_gateway_messages_sent_total", C, "", "Messages written to MQTT clients.", ("door",)),
    Metric("motorcade_gateway_received_bytes_total", C, "B", "Bytes read from sockets, after TLS.", ("door",)),
    Metric("motorcade_gateway_acks_total", C, "", "Acknowledgements written: each after its commit.", ("door",)),
    Metric("motorcade_gateway_ack_duration_seconds", H, "s", "From the oldest record of a commit until its acks may leave, for each record.", ("lane",)),
    Metric("motorcade_gateway_refusals_total", C, "", "Connections, packets and records refused, by reason.", ("door", "reason")),
    Metric("motorcade_gateway_staging_records", G, "", "Records in the open buffer, not yet handed to the log.", ("lane",)),
    Metric("motorcade_gateway_staging_fill_ratio", G, "1", "How full that buffer is, by records or bytes.", ("lane",)),
    Metric("motorcade_gateway_paused", G, "", "1 while both buffers are in use and the doors read nothing.", ("lane",)),
    Metric("motorcade_gateway_pauses_total", C, "", "How often the doors had to stop reading.", ("lane",)),
)  # fmt: skip

LOG: Final = (
    Metric("motorcade_log_commits_total", C, "", "Commits that are durable.", ("lane",)),
    Metric("motorcade_log_commit_failures_total", C, "", "Commits that failed: nothing of them was acknowledged.", ("lane",)),
    Metric("motorcade_log_records_total", C, "", "Records made durable.", ("lane",)),
    Metric("motorcade_log_written_bytes_total", C, "B", "Rows and payloads made durable.", ("lane",)),
    Metric("motorcade_log_commit_duration_seconds", H, "s", "From the start of a commit until it is on disk.", ("lane",)),
    Metric("motorcade_log_commit_size_records", H, "", "Records of one commit.", ("lane",)),
    Metric("motorcade_log_commit_size_bytes", H, "B", "Bytes of one commit.", ("lane",)),
    Metric("motorcade_log_commit_age_seconds", G, "s", "How long the commit under way has taken; 0 without one.", ("lane",)),
    Metric("motorcade_log_writable", G, "", "0 from a failed commit until the disk takes writes again.", ("lane",)),
    Metric("motorcade_log_durable_lag_bytes", G, "B", "Appended and not yet durable.", ("lane",)),
    Metric("motorcade_log_segments", G, "", "Segment files on disk.", ("lane",)),
    Metric("motorcade_log_size_bytes", G, "B", "Bytes of the segment files.", ("lane",)),
    Metric("motorcade_log_retention_bytes", G, "B", "What the lane may keep; the oldest segments go beyond.", ("lane",)),
    Metric("motorcade_log_retired_segments_total", C, "", "Segments deleted by retention.", ("lane",)),
    Metric("motorcade_log_disk_free_bytes", G, "B", "Free on the file system of the log.", ()),
)  # fmt: skip

STATE: Final = (
    Metric("motorcade_state_caught_up", G, "", "1 once everything that was in the log at the start is in the state.", ()),
    Metric("motorcade_state_lag_seconds", G, "s", "Age of the newest record in the state while more waits; 0 at the end.", ()),
    Metric("motorcade_state_poll_age_seconds", G, "s", "Since the follower last looked into the log; it does 5 times a second.", ()),
    Metric("motorcade_state_vehicles", G, "", "Vehicles with a state.", ()),
    Metric("motorcade_state_records_total", C, "", "Records read from the log since the start.", ()),
    Metric("motorcade_state_duplicates_total", C, "", "Of these, sent twice by their sender, and dropped.", ()),
    Metric("motorcade_state_gaps_total", C, "", "Times that records were lost to the state: damage, or retention was faster.", ()),
    Metric("motorcade_state_malformed_records_total", C, "", "Records that nobody could decode. They stay in the log.", ()),
    Metric("motorcade_state_rejected_values_total", C, "", "Values that no signal can hold; their records stand.", ()),
    Metric("motorcade_state_bounded_times_total", C, "", "Samples dated beyond time.future_s_max: received time stands instead.", ()),
    Metric("motorcade_state_dropped_samples_total", C, "", "Samples beyond state.signals_per_vehicle_max.", ()),
    Metric("motorcade_state_records_without_slot_total", C, "", "Records of vehicles beyond state.vehicles_max.", ()),
    Metric("motorcade_state_snapshot_age_seconds", G, "s", "Since the last snapshot.", ()),
)  # fmt: skip

HISTORY: Final = (
    Metric("motorcade_history_lag_seconds", G, "s", "Age of the newest record read and not yet written; 0 when all is.", ()),
    Metric("motorcade_history_poll_age_seconds", G, "s", "Since the writer last looked into the log.", ()),
    Metric("motorcade_history_records_total", C, "", "Records read from the log since the start.", ()),
    Metric("motorcade_history_duplicates_total", C, "", "Of these, sent twice by their sender, and dropped.", ()),
    Metric("motorcade_history_malformed_records_total", C, "", "Records that nobody could decode. They stay in the log.", ()),
    Metric("motorcade_history_gaps_total", C, "", "Times that records were lost to history: damage, or retention was faster.", ()),
    Metric("motorcade_history_waiting_samples", G, "", "Samples read and not yet written.", ()),
    Metric("motorcade_history_flushes_total", C, "", "Times that they were written.", ()),
    Metric("motorcade_history_flush_failures_total", C, "", "Times that the disk took nothing, or had no room; it is tried again.", ()),
    Metric("motorcade_history_flush_age_seconds", G, "s", "Since the last flush, or the start.", ()),
    Metric("motorcade_history_merges_total", C, "", "Times that small files became a larger one.", ()),
    Metric("motorcade_history_merge_failures_total", C, "", "Times that this failed; it is tried again.", ()),
    Metric("motorcade_history_files", G, "", "Column files.", ()),
    Metric("motorcade_history_rows", G, "", "Rows in them: what one record said of one instant.", ()),
    Metric("motorcade_history_size_bytes", G, "B", "Bytes of them, with their indexes.", ()),
)  # fmt: skip

COMMANDS: Final = (
    Metric("motorcade_commands_open", G, "", "Commands that are not final.", ("state",)),
    Metric("motorcade_commands_total", C, "", "Transitions that are durable: requested, and what followed.", ("state",)),
    Metric("motorcade_commands_refused_total", C, "", "Requests that were not taken.", ("reason",)),
    Metric("motorcade_commands_duration_seconds", H, "s", "From requested to final.", ("state",)),
    Metric("motorcade_commands_malformed_answers_total", C, "", "Answers of vehicles that nobody could read.", ()),
    Metric("motorcade_commands_contradictions_total", C, "", "Vehicles that told another outcome than before.", ()),
    Metric("motorcade_api_requests_total", C, "", "HTTP requests answered.", ("status",)),
    Metric("motorcade_api_calls_total", C, "", "gRPC calls that ended; those that the client left are not counted.", ("status",)),
    Metric("motorcade_api_streams", G, "", "Open app streams: WebSockets and server-sent events.", ()),
    Metric("motorcade_api_streams_parked", G, "", "App streams whose connection broke and that may come back.", ()),
)  # fmt: skip

GROUPS: Final = {
    "Processes": PROCESSES,
    "Gateway": GATEWAY,
    "Log": LOG,
    "Live state": STATE,
    "History": HISTORY,
    "Commands and API": COMMANDS,
}
METRICS: Final = {row.name: row for rows in GROUPS.values() for row in rows}
