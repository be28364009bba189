"""The bugs that are planted, each as an exact replacement of text, and the tests that must see it.

A target that no longer exists fails `test_mutants.py`: whoever changes such a line decides what the
bug looks like now. The `short` ones run in the gate.
"""

from typing import Final, NamedTuple


class Mutant(NamedTuple):
    """One bug. `old` stands in the file exactly once."""

    bug: str
    file: str  # under src/motorcade
    old: str
    new: str
    tests: tuple[str, ...]  # arguments of pytest
    short: bool = False


_FAULTS: Final = "tests/faults/test_every_call.py"


def _scenario(name: str) -> tuple[str, ...]:
    return (f"{_FAULTS}::test_promises_hold_after_faults_at_every_call[{name}]",)


_ABUSE: Final = ("tests/api/oauth/test_abuse.py",)

MUTANTS: Final = (
    # -- P1: an ack means durable ------------------------------------------------------------------
    Mutant(
        "ack before sync: the write is not synced",
        "log/files.py",
        "self._write(fd, parts, offset, os.RWF_DSYNC)",
        "self._write(fd, parts, offset, 0)",
        _scenario("log: append"),
        short=True,
    ),
    Mutant(
        "ack before write: the gateway acknowledges what it has handed to the log",
        "gateway/intake.py",
        "        future.add_done_callback(self._durable)\n",
        "        early: Future[RecordBatch] = Future()\n"
        "        early.set_result(staging.batch())\n"
        "        self._durable(early)\n",
        ("tests/gateway/test_intake.py",),
    ),
    Mutant(
        "ack although the log said no",
        "gateway/intake.py",
        "            if fault is None:\n                door.committed",
        "            if True:\n                door.committed",
        ("tests/gateway/test_intake.py",),
    ),
    Mutant(
        "the watermark moves before the sync",
        "log/appender.py",
        "        number_rows(group.rows, self._positions)\n",
        "        number_rows(group.rows, self._positions)\n"
        "        self._watermark.publish(Mark(active.number, active.end + 100))\n",
        _scenario("log: append"),
    ),
    Mutant(
        "recovery does not write again what the cache alone may hold",
        "log/recovery.py",
        "    files.write_synced(fd, [data[first : survey.end].data], first)\n",
        "",
        _scenario("log: restart after kill -9 in a sync"),
    ),
    Mutant(
        "the name of a directory that a dead process made is not synced",
        "durable.py",
        "        os.mkdir(path, 0o700)\n",
        "        os.mkdir(path, 0o700)\n        return sync_directory(path.parent)\n"
        "    return None\n",
        _scenario("log: first start"),
    ),
    Mutant(
        "the new segment's name is not synced",
        "log/active.py",
        "            files.sync_directory(directory)  # Durable",
        "            # Durable",
        _scenario("log: rotation by size"),
    ),
    Mutant(
        "a snapshot is renamed before it is synced",
        "state/sealed.py",
        "        files.sync(fd)\n",
        "",
        _scenario("state: snapshots"),
    ),
    Mutant(
        "a consumer group's cursor is not synced",
        "log/cursors.py",
        "                self._files.sync(fd)\n",
        "",
        _scenario("log: cursors of consumer groups"),
    ),
    Mutant(
        "a short write is taken for a whole one",
        "log/files.py",
        "            while written < size:\n",
        "            while False:\n",
        _scenario("log: append"),
    ),
    Mutant(
        "a write-ahead log that a failed sync left is used as it is",
        "gateway/mqtt/store.py",
        "            at_rest.bring_to_disk(self._path)\n",
        "",
        _scenario("MQTT sessions: first start"),
    ),
    # -- what is damaged is seen -------------------------------------------------------------------
    Mutant(
        "the frame's checksum is skipped",
        "log/frame.py",
        "    if xxhash.xxh3_64_intdigest(view[at + _PREFIX.size : at + total]) != checksum:\n",
        "    if False:\n",
        ("tests/log/test_frame.py",),
        short=True,
    ),
    Mutant(
        "half a watermark is believed",
        "log/watermark.py",
        "            if value == check ^ _MASK:\n",
        "            if True:\n",
        ("tests/log/test_watermark.py",),
    ),
    Mutant(
        "the torn tail is not cut",
        "log/segment.py",
        "    files.truncate(fd, trailer.end)\n",
        "",
        ("tests/log/test_recovery.py",),
    ),
    Mutant(
        "damage in the middle counts as a torn tail: all that follows is cut",
        "log/survey.py",
        "            if following is not None:\n",
        "            if False:\n",
        ("tests/log/test_recovery.py",),
    ),
    Mutant(
        "a damaged snapshot is restored",
        "state/sealed.py",
        "    return body if sound and xxhash.xxh3_128_digest(body) == digest else None\n",
        "    return body\n",
        ("tests/state/test_snapshots.py",),
    ),
    Mutant(
        "a segment whose head is damaged is deleted as torn",
        "log/recovery.py",
        "            kept = kept or _first_frame(files, fd, numbers[-1]) is not None\n",
        "",
        ("tests/log/test_recovery.py",),
    ),
    Mutant(
        "a cursor's checksum is skipped",
        "log/cursors.py",
        "    if stored.check != _check(stored.places):\n",
        "    if False:\n",
        ("tests/log/test_cursors.py",),
    ),
    Mutant(
        "a damaged key is used",
        "identity/secrets.py",
        "        if stored != _checked(content):\n",
        "        if False:\n",
        ("tests/faults/test_corruption.py", "-k", "keys"),
    ),
    Mutant(
        "a SQLite file is not compared with its sum",
        "at_rest.py",
        "(size, digest) != (found[0], found[2]):\n",
        "size != found[0]:\n",
        ("tests/test_at_rest.py",),
    ),
    # -- P2: order and once ------------------------------------------------------------------------
    Mutant(
        "off by one in a cursor: the last frame is read again",
        "log/tail.py",
        "        return Place(self._segment, self._offset, self._from_time_us)\n",
        "        return Place(self._segment, max(self._offset - 8, 0), self._from_time_us)\n",
        ("tests/log/test_reader.py",),
    ),
    Mutant(
        "a cursor that is one segment ahead",
        "log/tail.py",
        "        self._segment, self._offset = self._segment + 1, 0\n",
        "        self._segment, self._offset = self._segment + 2, 0\n",
        ("tests/log/test_reader.py", "tests/log/test_tail.py"),
    ),
    Mutant(
        "positions of a failed commit are not given back",
        "log/appender.py",
        "            np.subtract.at(self._positions, keys, 1)\n",
        "            np.subtract.at(self._positions, keys, 0)\n",
        _scenario("log: rotation by size"),
    ),
    Mutant(
        "two writers hold one lane",
        "log/lanes.py",
        "    if not lock.held:\n        raise LogError(",
        "    if False:\n        raise LogError(",
        ("tests/log/test_lanes.py", "tests/contracts/test_log.py", "-k", "writer or lane"),
    ),
    Mutant(
        "dedup state is not snapshotted",
        "state/follower.py",
        "            self._dedup.snapshot(),\n",
        "            self._make_dedup().snapshot(),\n",
        ("tests/state/test_follower.py",),
    ),
    Mutant(
        "retention deletes the segment that holds the positions",
        "log/retention.py",
        "if number < kept]",
        "if number <= kept]",
        ("tests/log/test_retention.py",),
        short=True,
    ),
    Mutant(
        "retention leaves holes: newer segments go first",
        "log/retention.py",
        "        for index, number in enumerate(sealed):\n",
        "        for index, number in reversed(list(enumerate(sealed))):\n",
        ("tests/log/test_retention.py",),
    ),
    # -- P3: event time ----------------------------------------------------------------------------
    Mutant(
        "a late sample overwrites a newer one",
        "state/kernels.py",
        "            if time_us < hot_times[slot, column]:\n",
        "            if time_us < NEVER:\n",
        ("tests/state/test_embedded.py",),
    ),
    Mutant(
        "the future clock is unbounded",
        "gateway/mqtt/records.py",
        "    if time_us > now_us + future_us_max:\n",
        "    if False:\n",
        ("tests/gateway/mqtt/test_records.py",),
    ),
    # -- P5: a command once, and never late --------------------------------------------------------
    Mutant(
        "expiry is not checked in the car",
        "vehicle/commands.py",
        "    if now.latest_us >= command.expires_time_us:\n",
        "    if False:\n",
        ("tests/vehicle/test_commands.py",),
        short=True,
    ),
    Mutant(
        "the journal is written after the command was carried out",
        "vehicle/agent.py",
        '        self._write(command, "started", "")\n',
        "",
        ("tests/vehicle/test_agent.py",),
    ),
    Mutant(
        "what was told before a crash is not known again at the start",
        "commands/runner.py",
        "        while self._read_answers():\n",
        "        while False:\n",
        ("tests/commands/test_runner.py",),
    ),
    Mutant(
        "a step has the time at which its answer was read",
        "commands/router.py",
        "self._enter(tracked, event, answer.reason, received_us, now_us, answer.response)",
        "self._enter(tracked, event, answer.reason, now_us, now_us, answer.response)",
        ("tests/commands/test_runner.py",),
    ),
    Mutant(
        "what the journal knows is carried out again",
        "vehicle/commands.py",
        "    if known is not None:\n        return Repeat(known)\n",
        "",
        ("tests/vehicle/test_commands.py",),
    ),
    Mutant(
        "forgotten counters may be used again",
        "vehicle/journal.py",
        "        return counter <= self._floor or counter in self._counters\n",
        "        return counter in self._counters\n",
        ("tests/vehicle/test_journal.py",),
    ),
    Mutant(
        "half a line stays in the journal before the next one",
        "vehicle/journal.py",
        "        self._disk.truncate(_FILE, self._size)\n",
        "",
        _scenario("car: journal"),
    ),
    Mutant(
        "a record is sent before it is synced",
        "vehicle/buffer.py",
        "            while sequence < min(segment.next, self._synced):\n",
        "            while sequence < segment.next:\n",
        ("tests/vehicle/test_buffer.py",),
    ),
    Mutant(
        "the sequence of a record that was cut is given to another",
        "vehicle/buffer.py",
        "            segments.append(_Segment(max(last.next, self.acked) + 1))\n",
        "            segments.append(_Segment(max(last.next, self.acked + 1)))\n",
        ("tests/vehicle/test_buffer.py",),
    ),
    Mutant(
        "a damaged record ends its segment: those behind it are lost",
        "vehicle/buffer.py",
        "            if following is None:\n",
        "            if True:\n",
        ("tests/vehicle/test_buffer.py",),
    ),
    Mutant(
        "a damaged line of the journal is left out without a word",
        "vehicle/journal.py",
        "        if damaged:\n",
        "        if False:\n",
        ("tests/vehicle/test_journal.py",),
    ),
    Mutant(
        "the counter is not persisted",
        "commands/ledger.py",
        "        self._writing.execute(_RAISE_COUNTER, (vehicle, transition.counter))\n",
        "",
        ("tests/commands/test_ledger.py",),
        short=True,
    ),
    Mutant(
        "the ledger's rows and its cursor are not one transaction",
        "commands/ledger.py",
        "            self._writing.executemany(_STORE_CURSOR, cursors.items())\n",
        "",
        ("tests/commands/test_ledger.py",),
    ),
    Mutant(
        "the idempotency key is ignored",
        "commands/router.py",
        "        if request.idempotency_key:\n            known",
        "        if False:\n            known",
        ("tests/commands/test_router.py",),
    ),
    Mutant(
        "a signature is not checked",
        "wire/command/signing.py",
        "        key.verify(signature, canonical(members))\n",
        "        canonical(members)\n",
        ("tests/wire/command/test_signing.py",),
    ),
    Mutant(
        "a command for another car is obeyed",
        "wire/command/signing.py",
        "    if message.vehicle != vehicle:\n",
        "    if False:\n",
        ("tests/wire/command/test_signing.py",),
    ),
    # -- sessions ----------------------------------------------------------------------------------
    Mutant(
        "the ack of a QoS 1 publish is dropped",
        "gateway/mqtt/publishing.py",
        "            puback = Puback(packet_id)\n"
        "            connection.write(encode_acknowledgement(puback, connection.level))\n",
        "",
        ("tests/gateway/mqtt/test_door.py",),
    ),
    Mutant(
        "a take-over does not wait for what the old connection published",
        "gateway/mqtt/admission.py",
        "                await self.ingest.slots.settled(connection)\n",
        "                pass\n",
        ("tests/gateway/mqtt/test_door.py", "tests/gateway/mqtt/test_sessions.py"),
    ),
    Mutant(
        "a session's place is not written when its client goes",
        "gateway/mqtt/sessions.py",
        "            return\n        self._put(session, session.owed_from(session.cursor))\n",
        "            return\n",
        ("tests/gateway/mqtt/test_sessions.py",),
    ),
    # -- OAuth: every door is shut -----------------------------------------------------------------
    Mutant(
        "OAuth: a redirect URI is compared by its beginning",
        "api/oauth/client.py",
        "        return redirect_uri in self.app.redirect_uris\n",
        "        return any(redirect_uri.startswith(uri) for uri in self.app.redirect_uris)\n",
        _ABUSE,
    ),
    Mutant(
        "OAuth: a challenge without a method passes, as plain",
        "api/oauth/code_grant.py",
        'elif fields.get("code_challenge_method") != "S256":',
        'elif fields.get("code_challenge_method") == "plain":',
        _ABUSE,
    ),
    Mutant(
        "OAuth: a code works twice",
        "registry/people/grants.py",
        "            if row[0] is not None or row[1] <= now_us:\n",
        "            if row[1] <= now_us:\n",
        ("tests/contracts/test_people.py",),
    ),
    Mutant(
        "OAuth: a replayed code ends nothing",
        "registry/people/grants.py",
        "        if session_id is not None:\n            self.end_session(session_id)\n",
        "        if session_id is not None:\n",
        _ABUSE,
    ),
    Mutant(
        "OAuth: an old refresh token ends nothing",
        "registry/people/grants.py",
        "                _end_session(connection, row[0], now_us)\n                return None\n"
        '            if key["hash"] != last_hash:\n',
        '                return None\n            if key["hash"] != last_hash:\n',
        _ABUSE,
    ),
    Mutant(
        "OAuth: what is ticked is granted, asked for or not",
        "api/pages/authorize.py",
        "tuple(s for s in visit.asked.scopes if s in ticked)",
        "tuple(ticked)",
        (*_ABUSE, "tests/api/oauth/test_pages.py"),
    ),
    Mutant(
        "OAuth: a form needs no token",
        "api/pages/browser.py",
        "        if not hmac.compare_digest(self.form_token.encode(), "
        'token.encode("utf-8", "replace")):\n',
        "        if False:\n",
        _ABUSE,
        short=True,
    ),
    Mutant(
        "OAuth: a form may come from anywhere",
        "api/pages/browser.py",
        '        if origin is not None and origin.partition("://")[2] != headers.get("host"):\n',
        "        if False:\n",
        _ABUSE,
    ),
    Mutant(
        "OAuth: a page may be framed",
        "api/pages/render.py",
        "            \"frame-ancestors 'none'\"\n",
        '            ""\n',
        _ABUSE,
    ),
    Mutant(
        "OAuth: what people wrote is not escaped",
        "api/pages/render.py",
        "        autoescape=True,\n",
        "        autoescape=False,\n",
        ("tests/api/oauth/test_pages.py",),
    ),
    Mutant(
        "OAuth: passwords may be guessed without end",
        "api/oauth/attempts.py",
        "        if any(failures.too_many(key, now_s) for failures, key in budgets):\n",
        "        if False:\n",
        _ABUSE,
    ),
    Mutant(
        "OAuth: a token outlives its grant",
        "api/standing.py",
        "        if held is None:\n            return None\n",
        "        if held is None:\n            return token.scopes\n",
        ("tests/api/oauth/test_tokens.py",),
    ),
    Mutant(
        "OAuth: a cached standing is never asked again",
        "api/standing.py",
        "            self._held.clear()\n",
        "            pass\n",
        ("tests/api/oauth/test_tokens.py",),
    ),
    Mutant(
        "OAuth: open streams hear of no revocation",
        "api/standing.py",
        "                self.unwatch(ended)\n                ended()\n",
        "                self.unwatch(ended)\n",
        ("tests/api/oauth/test_platform.py",),
    ),
    Mutant(
        "OAuth: a request hides a revocation from open streams",
        "api/standing.py",
        "        if changes != self._looked:\n",
        "        if changes != self._changes:\n",
        ("tests/api/test_standing.py",),
    ),
    Mutant(
        "OAuth: a code outlives the password",
        "registry/people/accounts.py",
        "        connection.execute(delete(CODES).where(*unused))\n",
        "        pass\n",
        ("tests/contracts/test_people.py",),
    ),
    Mutant(
        "OAuth: a code is allowed in a browser that was signed out",
        "registry/people/grants.py",
        "            _refuse_signed_out(connection, asked, now_us)\n",
        "            pass\n",
        ("tests/contracts/test_people.py",),
    ),
    Mutant(
        "OAuth: a sign-in begins with a password that was changed",
        "registry/people/accounts.py",
        "            if stored is None or not "
        "hmac.compare_digest(self._mark(stored, browser), mark):\n",
        "            if stored is None:\n",
        ("tests/contracts/test_people.py",),
    ),
    Mutant(
        "OAuth: any cookie makes a known browser",
        "api/pages/sign_in.py",
        "    known = bool(mark) and hmac.compare_digest(mark, shown)\n",
        "    known = bool(mark) and bool(shown)\n",
        _ABUSE,
    ),
    Mutant(
        "OAuth: a code needs no redirect URI",
        "api/oauth/code_grant.py",
        "        fits = named == kept.code.redirect_uri\n",
        "        fits = named in (kept.code.redirect_uri, '')\n",
        _ABUSE,
    ),
    Mutant(
        "OAuth: a stream outlives a key forgotten while it opened",
        "api/standing.py",
        "        if generation < self._generation:\n",
        "        if False:\n",
        ("tests/api/test_standing.py",),
    ),
    Mutant(
        "partners: a foreign domain goes to whoever names it",
        "api/partners.py",
        "    if app.person_id is None and app.domain:",
        "    if app.domain:",
        ("tests/api/test_partners.py",),
    ),
    Mutant(
        "tokens: a ring that cannot be read is not read again",
        "identity/tokens.py",
        "        keys = _read_keys(authority)\n"
        "        seen[0] = mark  # not before it was read: what failed once is tried again\n",
        "        seen[0] = mark\n        keys = _read_keys(authority)\n",
        ("tests/identity/test_tokens.py",),
    ),
    Mutant(
        "OAuth: an ID token opens the API",
        "identity/tokens.py",
        '        if claims.get("iss") != ISSUER or not ours:\n',
        "        if not ours and False:\n",
        ("tests/identity/test_tokens.py",),
    ),
    Mutant(
        "history: a block is not compared with its sum",
        "history/sums.py",
        "digest(blocks[place : place + BLOCK_BYTES]) != told:",
        "digest(blocks[place : place + BLOCK_BYTES]) is None:",
        ("tests/faults/test_corruption.py::test_damage_is_found_named_and_confined[history]",),
    ),
)
