/**
 * A client for Salon's JSON dialect: one file, no dependencies, for browsers and for any other place with `WebSocket`,
 * `EventTarget` and `crypto`. Copy it; the protocol itself is described in `docs/wire.md`.
 *
 * ```js
 * import { SalonClient } from "./client.js";
 *
 * const salon = new SalonClient({ url: "wss://chat.example/ws", user: "ada" });
 * salon.on("state", ({ state, retryAt, code }) => console.log("connection:", state, code ?? "", retryAt ?? ""));
 * salon.on("message", (m) => console.log(`#${m.room_id} ${m.sender}: ${m.content}`));
 * salon.on("gap", ({ room_id, from, to, why }) => console.log(`#${room_id}: ${from} to ${to} are missing (${why})`));
 * salon.on("refused", ({ entry, error }) => console.log(`not sent: ${entry.content}: ${error.message}`));
 * salon.join("lobby", { history: 50 }); // before or after `connect`; stays joined over reconnects
 * salon.connect();
 * salon.say("lobby", "Good morning"); // kept until it is confirmed, also without a connection
 * ```
 *
 * # Events: what the listeners of `on(name, listener)` hear
 *
 * | event | when |
 * |---|---|
 * | `state` | the connection is `connecting`, `connected`, `waiting` (until `retryAt`), or `closed` for good; with `code` and `reason` of the last close |
 * | `stalled` | the server is asked for a sign of life and gives none, though the connection stands; and that this is over |
 * | `welcome` | the server has said who we are and what its limits are; always after `state: "connected"` |
 * | `joining` | how many rooms we want to be in and are not in yet; 0 when we are in all of them |
 * | `joined` | we are in a room, or it has begun anew while we are; the replay follows as `message`s, `online_users` ends it |
 * | `join_delayed` | a room cannot be joined now (it is full, say); it is tried again by itself |
 * | `message` | somebody, also we ourselves, said something in a room: each once, in order |
 * | `gap` | messages of a room that are not to be had, before the next `message` |
 * | `direct` | somebody wrote to us, or we to somebody, on this device or another one |
 * | `edited`, `deleted`, `reaction` | what was done to a message, in a room or between us and somebody |
 * | `read` | we have read a conversation up to a `seq`, on another device; also a room that this one is not in |
 * | `announcement` | a broadcast to everybody, which is in no room and has no number |
 * | `queued`, then `sent` or `refused` | a message of ours: on the outbox; confirmed; given up |
 * | `join_refused` | a room cannot be joined, now or at a reconnect, for good; it is not tried again before `join`, and what was on the outbox for it is `refused` |
 * | `left` | we have been put out of a room, which is not joined again before `join`; what was on the outbox for it is `refused` |
 * | `user_joined`, `user_left`, `online_users` | who is in a room. Big rooms have `online_users` alone, with a sample |
 * | `presence_state`, `presence` | how people are: the answer to `presence`, and changes since |
 * | `topic` | what a room is called and is about: {room_id, name, topic, sender?} |
 * | `typing` | somebody types, or does no longer |
 * | `status` | how we are, as the server holds it: set on another device, or before this client came |
 * | `outbox` | what is on the outbox is another than before: for those who keep it |
 * | `error` | the server complained about something that was no request |
 * | `goodbye` | the server is about to close the connection |
 *
 * `EventMap` has the fields. What is said of a room that we are neither in nor on the way into, because we have left it
 * meanwhile, is no event. Requests (`join`, `history`, `members` …) answer with a promise instead: of the server's
 * answer, or rejected with a `SalonError`, whose `code` is of `docs/wire.md` or `disconnected`, `timeout`, `overloaded`
 * (too many are open).
 *
 * # What the client does by itself
 *
 * **Reconnecting.** A lost connection is tried again after a random time between nothing and 500 ms, then 1 s, 2 s … up
 * to 20 s (exponential back-off with full jitter). The ceiling falls back to 500 ms after 5 s of a stable connection.
 * `connect()` and `probe()` end a wait. The effect of a close code:
 *
 * | code | then |
 * |---|---|
 * | 40xx: 4001 unauthorized, 4003 banned, 4010 kicked | `closed`; only `connect()` comes back |
 * | any, after a `goodbye` with `reconnect: false` | `closed` |
 * | any, after a `goodbye` with `after_ms` (1001, 1012, 1013) | waits for that time, and the back-off |
 * | 42xx: 4200 reconnect, 4201 no pong | again at once; with back-off if the connection before was not stable |
 * | 1009: a message was too large | that message is `refused`, and not sent again; then back-off |
 * | 41xx: 4100 too many connections, 4101 too fast; and all others, also none (1006) | back-off |
 *
 * **Resuming.** It remembers `{epoch, seq}` of each room, joins again with `since`, and gives out missed messages
 * before new ones, each message once: a `seq` at or under the last one is dropped. If the server numbers anew (`epoch`
 * is another one), `joined` has `reset: true`, and messages that the caller keeps of the room belong to the epoch
 * before. Every hole is a `gap`: `expired` (no longer kept), `epoch_changed`, and `missing`, should the server ever
 * leave one out without a word. The caller may ask `history` for messages in it that are still kept. A room is
 * forgotten when a join is refused for good; one that is refused with `retry` is asked for again as long as it takes,
 * at random times behind `retry_after_ms`. A server that takes several rooms in one `join` (`limits.join_rooms`) is
 * asked for all at once; from another one they are asked for at a pace that it keeps up with.
 *
 * **Sending.** `say` and `direct` put a message on an outbox and answer at once. It is sent with a UUID, one message at
 * a time for each room or person, so that order holds, and sent again with the same UUID until the server confirms it
 * (`sent`) or refuses it for good (`refused`). A refusal with `retry` is tried again, up to six times; `rate_limited`
 * does not count, and slows the outbox to `limits.rate` for 30 s. The server says a retried UUID only once for five
 * minutes; after that the client asks (`refused` with the code `unconfirmed`) rather than risk saying something twice.
 * A message over the limits of the server is `refused` without being sent: `lengthProblem` says so before. An outbox
 * that is kept (`outbox`, with each event of that name) and given to the next client goes on where it stopped, with the
 * same UUIDs.
 *
 * **One's own status.** The status that was set by `status` is sent again behind each `welcome`, before anything else,
 * and in the address if it is not `online`, so that a user who hides is not seen even for a moment. If the server holds
 * another status, set elsewhere, the event `status` has it.
 *
 * **Tokens** are shown as a sub-protocol, and not in the address, which proxies write into their logs; one that is too
 * long for a line of the opening (4,000 characters) is the first message.
 *
 * **Noticing silence.** A browser does not show WebSocket pings to a page, so the client sends `ping` when nothing was
 * heard for `ping_interval_ms`, or for 5 s after it sent something that is answered. When nothing comes back within 2 s
 * there is an event (`stalled`), and after 10 s the client drops the connection.
 *
 * # What it leaves to the caller
 *
 * Keeping messages and the outbox over a reload, paging through `history`, the history of direct conversations after a
 * reconnect (ask `history` with `user_id` and `after`), and presence subscriptions after a reconnect.
 *
 * # Bounds
 *
 * 200 messages on the outbox (`say` then answers `null`), 512 open requests, 15 s for the answer to each (a room that
 * is waited for takes as long as it takes); the server's own are in `limits` once it has spoken. All are constants at
 * the end.
 *
 * @typedef {"idle" | "connecting" | "connected" | "waiting" | "closed"} ConnectionState
 *
 * @typedef {object} EventMap  What `on(name, listener)` hands to the listener.
 * @property {{state: ConnectionState, retryAt?: number, code?: number, reason?: string}} state
 * @property {{stalled: boolean}} stalled
 * @property {{user_id: string, session_id: string, server: string, limits: Limits, ping_interval_ms: number,
 *           durability: string, resumed: boolean}} welcome
 *           `resumed`: it is not the first of this client.
 * @property {{left: number}} joining
 * @property {{room_id: string, epoch: string, seq: number, recovered: boolean, members: number, read?: number,
 *           unread?: number, reset: boolean, first: boolean}} joined
 *           `reset`: the room's numbering began anew, what was known of it is of another epoch.
 * @property {{room_id: string, error: SalonError}} join_delayed
 * @property {{room_id: string, error: SalonError}} join_refused
 * @property {{room_id: string, epoch: string, sender: string, content: string, seq: number, ts: number, id?: string,
 *           reply_to?: number, mentions?: "room", replayed: boolean}} message
 *           `mentions`: its text calls everybody in the room.
 * @property {{room_id: string, epoch: string, from: number, to: number, why: string}} gap
 * @property {{sender: string, user_id: string, content: string, seq: number, ts: number, id?: string,
 *           reply_to?: number}} direct
 * @property {object} edited
 * @property {object} deleted
 * @property {object} reaction
 *           What was done to a message, as in docs/wire.md; in a room with `epoch` and `replayed` too. A message that
 *           is deleted has `deleted` and no `content`.
 * @property {{room_id?: string, user_id?: string, seq: number}} read
 * @property {{sender: string, content: string, ts: number}} announcement
 *           A broadcast to everybody (`room_id` "*").
 * @property {OutboxEntry} queued
 *           A message of ours was put on the outbox.
 * @property {{entry: OutboxEntry, seq: number, ts: number, duplicate: boolean}} sent
 *           The server has it.
 * @property {{entry: OutboxEntry, error: SalonError}} refused
 *           The server does not want it; it is off the outbox.
 * @property {{entries: OutboxEntry[]}} outbox
 * @property {{room_id: string, reason?: string}} left
 * @property {{room_id: string, user_id: string}} user_joined
 * @property {{room_id: string, user_id: string}} user_left
 * @property {{room_id: string, users: string[], count: number}} online_users
 * @property {{users: Object<string, {status: string, devices: number, note?: string}>}} presence_state
 * @property {{user_id: string, status: string, note?: string}} presence
 * @property {{room_id?: string, user_id: string, typing: boolean}} typing
 * @property {{status: string, note: string}} status
 * @property {SalonError} error
 *           An error that answers no request of ours.
 * @property {{reason: string, reconnect: boolean, after_ms?: number}} goodbye
 *
 * @typedef {object} Limits  What the server allows; an older or another server may leave any of it out.
 * @property {number} [message_bytes]  A frame.
 * @property {number} [content_bytes]  The `content` of a message, as UTF-8.
 * @property {number} [rooms]          Rooms of a session.
 * @property {number} [join_rooms]     Rooms in one `join`; absent where a `join` is for one room.
 * @property {number} [mention_room]   Members that a room may have for us to call all of them by `@room`; 0: none.
 * @property {?{per_second: number, burst: number}} [rate]  Frames of a user; null where there is no limit.
 *
 * @typedef {{id: string, kind: "room" | "person", target: string, content: string, reply_to?: number, epoch?: string,
 *   queuedAt: number, firstSent: number}} OutboxEntry
 *   `epoch` is that of the room when the message was written, if it answers one.
 */

/**
 * An `error` message of the server, or a request that found no connection (`disconnected`) or no answer (`timeout`).
 */
export class SalonError extends Error {
  constructor({ code, message, retry = false, retry_after_ms = undefined }) {
    super(message || code);
    this.name = "SalonError";
    this.code = code;
    this.retry = retry;
    this.retryAfter = retry_after_ms;
  }
}

export class SalonClient {
  #events = new EventTarget();
  #url;
  #user;
  #token;
  #WebSocket;
  #socket = null;
  /** @type {ConnectionState} */
  #state = "idle";
  #welcome = null;
  #goodbye = null;
  #attempts = 0;
  #hurried = false; // a 42xx was followed at once; the next one is not, unless the connection was stable in between
  #timers = new Timers();
  #lastHeard = 0;
  #probeSince = 0;
  #askedSince = 0; // when something that is answered was sent and nothing was heard since
  #stalled = false;
  /**
   * Requests waiting for their answer.
   *
   * @type {Map<string, {resolve: Function, reject: Function, message: object, tries: number}>}
   */
  #requests = new Map();
  /**
   * Rooms we want to be in. `asked` is the id of the `join` on its way, `waiters` those who want to know when we are
   * in.
   *
   * @type {Map<string, {epoch: ?string, seq: number, joined: boolean, history: number, replayEnd: number,
   *   fresh: boolean, asked: ?string, notBefore: number, tries: number,
   *   waiters: {resolve: Function, reject: Function}[]}>}
   */
  #rooms = new Map();
  #joinPause = 0; // between two joins; longer after a `rate_limited`, shorter with each room that was joined
  #nextJoin = 0;
  #joinsAtOnce = 0; // how many may still be sent without a pause
  #roomsLeft = 0;
  /** What was set by `status`. @type {?{status: string, note: string}} */
  #wanted = null;
  /**
   * Messages not yet confirmed, in the order they were said.
   *
   * @type {Map<string, OutboxEntry & {socket: any, firstSent: number, lastSent: number, notBefore: number,
   *   tries: number}>}
   */
  #outbox = new Map();
  // After a `rate_limited` the outbox keeps to the server's rate instead of finding its edge again and again.
  #slowUntil = 0;
  #nextSend = 0;
  #random;

  /**
   * @param {{url: string, user?: string, token?: string, outbox?: OutboxEntry[],
   *   status?: {status: string, note: string}, WebSocket?: typeof WebSocket, random?: () => number}} options
   *   `url` is the address of `/ws`. `user` names us where names are free (open mode), `token` proves who we are
   *   elsewhere.
   *   `outbox` and `status` are those of a former client, with which this one goes on.
   */
  constructor({ url, user, token, outbox = [], status, WebSocket = globalThis.WebSocket, random = Math.random }) {
    this.#url = url;
    this.#user = user && normalName(user);
    this.#token = token;
    this.#wanted = status ?? null;
    this.#WebSocket = WebSocket;
    this.#random = random;
    for (const entry of outbox) this.resume(entry);
  }

  get state() { return this.#state; }
  /** Our name by the server's word; until it has spoken, the name that we asked for. */
  get userId() { return this.#welcome?.user_id ?? this.#user; }
  /** The limits of the server; nothing is known before `welcome`. @returns {Limits} */
  get limits() { return this.#welcome?.limits ?? {}; }
  /** Our messages that are not confirmed yet, in the order they were said. */
  get outbox() { return [...this.#outbox.values()]; }
  /** How many rooms we want to be in and are not in yet. */
  get roomsLeft() {
    let left = 0;
    for (const room of this.#rooms.values()) left += room.joined ? 0 : 1;
    return left;
  }

  /**
   * Listens for an event. Returns a function that ends the listening.
   *
   * @template {keyof EventMap} K
   * @param {K} name
   * @param {(detail: EventMap[K]) => void} listener
   */
  on(name, listener) {
    const handler = (event) => listener(event.detail);
    this.#events.addEventListener(name, handler);
    return () => this.#events.removeEventListener(name, handler);
  }

  /** Connects, or tries again at once when it is waiting to. */
  connect() {
    if (this.#state === "connecting" || this.#state === "connected") return;
    this.#timers.end("retry");
    this.#goodbye = null;
    const url = new URL(this.#url);
    if (!this.#token && this.#user) url.searchParams.set("user", wellFormed(this.#user));
    if (IN_ADDRESS.includes(this.#wanted?.status)) url.searchParams.set("status", this.#wanted.status);
    const inOpening = this.#token && this.#token.length <= TOKEN_IN_OPENING && PROTOCOL_TOKEN.test(this.#token);
    let socket;
    try {
      socket = new this.#WebSocket(url, inOpening ? [SUB_PROTOCOL, `token.${this.#token}`] : [SUB_PROTOCOL]);
    } catch (error) {
      this.#setState("closed", { reason: String(error.message ?? error) });
      return;
    }
    this.#socket = socket;
    this.#setState("connecting");
    // Each handler checks that it still belongs to the current socket: a socket that was dropped may have events on the
    // way. An open server welcomes at once; one that waits for a token says so when it is asked anything.
    socket.onopen = () => {
      if (socket === this.#socket && this.#token && !inOpening) return this.#transmit({ type: "auth", token: this.#token });
      if (socket === this.#socket) this.#timers.after(WELCOME_WITHIN, () => { if (this.#state === "connecting") this.#transmit({ type: "ping" }); });
    };
    socket.onmessage = (event) => { if (socket === this.#socket) this.#handleFrame(event.data); };
    socket.onclose = (event) => { if (socket === this.#socket) this.#handleClose(event.code, event.reason); };
    this.#lastHeard = elapsed();
    this.#probeSince = this.#askedSince = 0;
    this.#timers.every(LIVENESS_TICK, () => this.#checkLiveness(), "liveness");
  }

  /** Leaves for good, and leaves no timer behind. `connect` comes back. */
  close() {
    const socket = this.#socket;
    this.#dropSocket();
    socket?.close(1000);
    this.#setState("closed", { code: 1000 });
  }

  /** Asks for a sign of life now: for the moments when a network change or a wake from sleep is likely. */
  probe() {
    if (this.#state === "waiting") this.connect();
    else if (this.#state === "connected" && !this.#probeSince) {
      this.#probeSince = elapsed();
      this.#transmit({ type: "ping" });
    }
  }

  /**
   * Sends any request and resolves with its answer. One that came too fast (`rate_limited`) is sent again when it may
   * be.
   *
   * @param {string} type
   * @param {object} fields
   * @returns {Promise<any>} the answer; rejected with a `SalonError`
   */
  request(type, fields = {}) {
    return new Promise((resolve, reject) => {
      if (this.#state !== "connected") return reject(new SalonError({ code: "disconnected", message: "Not connected", retry: true }));
      if (this.#requests.size >= REQUESTS_MAX) return reject(new SalonError({ code: "overloaded", message: "Too many requests are open", retry: true }));
      const id = uuid();
      this.#timers.after(ANSWER_WITHIN, () => {
        this.#endRequest(id);
        reject(new SalonError({ code: "timeout", message: "The server did not answer in time", retry: true }));
      }, `request ${id}`);
      const message = { ...fields, type, id };
      this.#requests.set(id, { resolve, reject, message, tries: 0 });
      this.#transmit(message);
    });
  }

  /**
   * Joins a room and stays in it over reconnects. With `since` it resumes where a former client stopped; `history` asks
   * for the last n messages. The promise is of the server's `joined`, however long a server that says `retry` lets us
   * wait; it is rejected when the join is refused for good, and when the connection ends before. (Then the room is
   * joined with the next one.) Without a connection the answer is null, and the room is joined when there is one.
   */
  join(name, { history = 0, since = undefined } = {}) {
    const room_id = normalName(name);
    let room = this.#rooms.get(room_id);
    if (!room) {
      room = { epoch: since?.epoch ?? null, seq: since?.seq ?? 0, joined: false, history, replayEnd: 0, fresh: true, asked: null, notBefore: 0, tries: 0, waiters: [] };
      this.#rooms.set(room_id, room);
    }
    if (this.#state !== "connected") return Promise.resolve(null); // joined with the others when the connection stands
    if (room.joined) return this.request("join", { room_id });
    room.notBefore = 0;
    const answer = new Promise((resolve, reject) => { room.waiters.push({ resolve, reject }); });
    this.#pumpJoins();
    return answer;
  }

  /**
   * Shows another token of the same user: in place while the connection stands, and at every connection from now on.
   * The time for it is before `welcome.expires_at` (or `expires_at` of the answer), and at the latest when `error`
   * tells of `token_expired`; after that it takes `connect()` to come back. One that the server refuses changes
   * nothing: the one before is kept.
   */
  authenticate(token) {
    const before = this.#token;
    this.#token = token;
    if (this.#state === "connecting") { // with the one before; there is nothing on this connection that could be lost
      const socket = this.#socket;
      this.#dropSocket();
      socket.close();
      this.#state = "idle";
      this.connect();
    }
    if (this.#state !== "connected") return Promise.resolve(null);
    return this.request("auth", { token }).catch((error) => {
      if (!error.retry && this.#token === token) this.#token = before;
      throw error;
    });
  }

  /** Leaves a room, which is not joined again after a reconnect. Messages on the outbox for it are not sent. */
  leave(name) {
    const room_id = normalName(name);
    const room = this.#rooms.get(room_id);
    this.#rooms.delete(room_id);
    for (const entry of [...this.#outbox.values()]) if (entry.kind === "room" && entry.target === room_id) this.#outbox.delete(entry.id);
    this.#outboxChanged();
    this.#countRooms();
    if (room && !room.joined && room.asked === null) return Promise.resolve(null); // it was never asked for
    return this.request("leave", { room_id });
  }

  /** The position in a room: `{epoch, seq}` of the last message given out, for a later `since`. */
  position(room_id) {
    const room = this.#rooms.get(normalName(room_id));
    return room?.epoch ? { epoch: room.epoch, seq: room.seq } : null;
  }

  /** Whether we are in a room or on the way into it: false once a join was refused. */
  has(room_id) { return this.#rooms.has(normalName(room_id)); }

  isJoined(room_id) { return this.#rooms.get(normalName(room_id))?.joined ?? false; }

  /**
   * Says something in a room; `reply_to` is the `seq` of the message that it answers. If the room begins anew before it
   * is said, it answers none; `epoch` is that of the message, if it is not of now. Returns the outbox entry, or null
   * when the outbox is full.
   */
  say(room_id, content, { reply_to, epoch = this.position(room_id)?.epoch } = {}) {
    return this.#enqueue("room", room_id, content, reply_to, reply_to === undefined ? undefined : epoch);
  }

  /** Says something to one person. */
  direct(user_id, content, { reply_to } = {}) { return this.#enqueue("person", user_id, content, reply_to); }

  /** Gives a message of ours another text. `target` is `{room_id}` or `{user_id}`, here and below. */
  edit(target, of, content) { return this.request("edit", { ...target, of, content: wellFormed(content) }); }
  /** Deletes a message. */
  delete(target, of) { return this.request("delete", { ...target, of }); }
  /** Puts a reaction at a message, or takes it back. */
  react(target, of, emoji, on) { return this.request("react", { ...target, of, emoji, on }); }
  /** We have read a conversation up to a `seq`, on all our devices. */
  read(target, seq) { return this.request("read", { ...target, seq }); }
  /** A page of our conversations with people, the latest first. */
  talks(page = {}) { return this.request("conversations", page); }
  /**
   * Messages that have all the words of a text. `where` has any of `room_id`, `user_id`, `sender`, `before`, `cursor`.
   */
  search(text, where = {}) { return this.request("search", { ...where, text }); }

  /** Puts a message of a former client on the outbox, with the id it had. Returns whether there was room for it. */
  resume({ id, kind, target, content, reply_to, epoch, queuedAt, firstSent = 0 }) {
    if (this.#outbox.size >= OUTBOX_MAX || this.#outbox.has(id)) return false;
    this.#outbox.set(id, { id, kind, target, content, reply_to, epoch, queuedAt, socket: null, firstSent, lastSent: 0, notBefore: 0, tries: 0 });
    this.#outboxChanged();
    this.#pumpOutbox();
    return true;
  }

  /** Takes a message off the outbox that is not confirmed yet. It may have been said all the same. */
  discard(id) { if (this.#outbox.delete(id)) this.#outboxChanged(); }

  /**
   * What is wrong with a message for a room or a person, as `{what: "content" | "message", bytes, most}`, or null: the
   * measure in which it is too long, as the server counts.
   */
  lengthProblem(kind, target, content) {
    const text = wellFormed(content);
    const { content_bytes = Infinity, message_bytes = Infinity } = this.limits;
    const bytes = utf8Length(text);
    if (bytes > content_bytes) return { what: "content", bytes, most: content_bytes };
    const wire = utf8Length(encode(spoken({ id: uuid(), kind, target, content: text })));
    return wire > message_bytes ? { what: "message", bytes: wire, most: message_bytes } : null;
  }

  /** Sends to a room or a person that we are typing; there is no answer. `target` is `{room_id}` or `{user_id}`. */
  typing(target, typing) {
    if (this.#state === "connected") this.#transmit({ type: "typing", ...target, typing });
  }

  /** A page of history: `target` is `{room_id}` or `{user_id}`, `page` any of `{before}`, `{after}`, `{limit}`. */
  history(target, page = {}) { return this.request("history", { ...target, ...page }); }
  members(room_id, page = {}) { return this.request("members", { room_id, ...page }); }
  room(room_id) { return this.request("room", { room_id }); }
  rooms(page = {}) { return this.request("rooms", page); }
  online(page = {}) { return this.request("online", page); }
  presence(target, subscribe = undefined) { return this.request("presence", subscribe === undefined ? target : { ...target, subscribe }); }
  /**
   * Sets our status, and sends it again after a reconnect. Without a connection it is sent when there is one, and the
   * answer is null.
   */
  status(status, note = "") {
    const before = this.#wanted;
    const wanted = this.#wanted = { status, note };
    if (this.#state !== "connected") return Promise.resolve(null);
    return this.request("status", note ? { status, note } : { status }).catch((error) => {
      if (!error.retry && this.#wanted === wanted) this.#wanted = before; // it is not sent again
      throw error;
    });
  }
  /** Has a room that we are in be about something; about nothing, if the text is empty. */
  topic(room_id, topic) { return this.request("topic", { room_id, topic }); }
  /** Has it be called by a title; by its id, if the text is empty. */
  title(room_id, name) { return this.request("topic", { room_id, name }); }
  createRoom(room_id, fields = {}) { return this.request("create_room", { room_id, ...fields }); }

  #emit(name, detail) { this.#events.dispatchEvent(new CustomEvent(name, { detail })); }

  #setState(state, detail = {}) {
    this.#state = state;
    this.#emit("state", { state, ...detail });
  }

  #setStalled(stalled) {
    if (stalled === this.#stalled) return;
    this.#stalled = stalled;
    this.#emit("stalled", { stalled });
  }

  #transmit(message) {
    if (this.#socket?.readyState !== 1) return;
    if (message.type !== "typing") this.#askedSince ||= elapsed();
    this.#socket.send(encode(message));
  }

  /** A request is open no longer, and nothing of it is timed. */
  #endRequest(id) {
    const leaves = this.#requests.get(id)?.message.type === "leave";
    this.#requests.delete(id);
    this.#timers.end(`request ${id}`);
    this.#timers.end(`again ${id}`);
    if (leaves) this.#pumpJoins(); // of that room, one may have waited
  }

  /** Whether a room is being left: it is not asked for before that is over. A `leave` may have to be sent again. */
  #isLeft(room_id) {
    for (const { message } of this.#requests.values()) {
      if (message.type === "leave" && message.room_id === room_id) return true;
    }
    return false;
  }

  #outboxChanged() { this.#emit("outbox", { entries: this.outbox }); }

  // Incoming -------------------------------------------------------------------------------------------------------

  #handleFrame(data) {
    this.#lastHeard = elapsed();
    this.#probeSince = this.#askedSince = 0;
    this.#setStalled(false);
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return; // not ours to judge; a server that speaks JSON never gets here
    }
    if (this.#isOfAnotherRoom(message)) {
      if (message.type === "joined" || message.type === "broadcast") this.#leaveAgain(message.room_id);
      if (message.type === "broadcast") this.#confirmIfOurs(message);
      return this.#answer(message.id, message);
    }
    switch (message.type) {
      case "welcome": return this.#handleWelcome(message);
      case "joined": this.#handleJoined(message); break;
      case "broadcast": return this.#handleBroadcast(message);
      case "edited": case "deleted": case "reaction":
        if (message.room_id === undefined) this.#emit(message.type, message);
        else this.#handleEntry(message.type, message);
        break; // and it may answer a request
      case "read":
        this.#emit("read", message);
        break;
      case "direct":
        this.#emit("direct", message);
        return this.#confirmIfOurs(message);
      case "left":
        if (message.id === undefined) { // we did not ask: we have been put out
          this.#forgetRoom(message.room_id, new SalonError({ code: "not_joined", message: "We have been put out of the room" }));
          return this.#emit("left", message);
        }
        // A request of the caller's own, and not `leave`.
        if (this.isJoined(message.room_id)) this.#forgetRoom(message.room_id, new SalonError({ code: "not_joined", message: "We have left the room" }));
        break;
      case "ack":
        if (this.#outbox.has(message.id)) return this.#confirm(message.id, message, true);
        break;
      case "gap": return this.#handleGap(message);
      case "online_users": this.#endReplay(message.room_id); this.#emit("online_users", message); break;
      case "presence":
        if (message.user_id === this.userId) this.#held(message);
        this.#emit("presence", message);
        break;
      case "goodbye":
        this.#goodbye = message;
        return this.#emit("goodbye", message);
      case "error": return this.#handleError(message);
      case "presence_state": case "topic": case "typing": case "user_joined": case "user_left":
        this.#emit(message.type, message);
        break;
    }
    this.#answer(message.id, message);
  }

  /**
   * Whether a message is of a room that we are not in and not on the way into. What is said of such a room was on its
   * way when we left it, or were put out of it, and is no event of ours. `read` says something of us, and not of it.
   */
  #isOfAnotherRoom({ type, room_id }) {
    return room_id !== undefined && room_id !== "*" && !["error", "ack", "read"].includes(type) && !this.#rooms.has(room_id);
  }

  #answer(id, message) {
    const request = this.#requests.get(id);
    if (!request) return;
    this.#endRequest(id);
    request.resolve(message);
  }

  #handleWelcome(message) {
    const resumed = this.#welcome !== null;
    this.#welcome = message;
    this.#timers.after(STABLE_AFTER, () => { this.#attempts = 0; this.#hurried = false; }, "stable");
    this.#setState("connected");
    this.#assertStatus(message);
    this.#joinPause = this.#nextJoin = 0;
    this.#joinsAtOnce = JOINS_AT_ONCE;
    this.#emit("welcome", { ...message, resumed });
    this.#countRooms();
    this.#pumpJoins();
    this.#pumpOutbox();
  }

  // One's own status -----------------------------------------------------------------------------------------------

  /**
   * Behind a welcome: sends our status if the server holds another one, or takes over the one that was set on another
   * device.
   */
  #assertStatus({ status, note = "" }) {
    if (status === undefined) {
      if (this.#wanted && (this.#wanted.status !== "online" || this.#wanted.note)) this.#sayStatus();
    } else if (this.#wanted === null || note || (status !== "online" && status !== this.#wanted.status)) {
      this.#held({ status, note });
    } else if (status !== this.#wanted.status || note !== this.#wanted.note) {
      this.#sayStatus(); // it was forgotten while we were away
    }
  }

  #sayStatus() {
    const { status, note } = this.#wanted;
    this.status(status, note).catch((error) => this.#emit("error", error));
  }

  /** The server holds another status of ours than we knew. */
  #held({ status, note = "" }) {
    if (this.#wanted?.status === status && this.#wanted.note === note) return;
    this.#wanted = { status, note };
    this.#emit("status", { status, note });
  }

  // Joining --------------------------------------------------------------------------------------------------------

  #countRooms() {
    const left = this.roomsLeft;
    if (left === this.#roomsLeft) return;
    this.#roomsLeft = left;
    this.#emit("joining", { left });
  }

  /** Asks for the rooms we are not in: first those that a caller waits for, or that have messages on the outbox. */
  #pumpJoins() {
    this.#timers.end("join");
    if (this.#state !== "connected") return;
    const now = elapsed();
    const due = [];
    let wakeAt = Infinity;
    for (const [room_id, room] of this.#rooms) {
      if (room.joined || room.asked !== null || this.#isLeft(room_id)) continue;
      if (room.notBefore > now) wakeAt = Math.min(wakeAt, room.notBefore);
      else due.push([room_id, room]);
    }
    const speaking = new Set();
    for (const { kind, target } of this.#outbox.values()) if (kind === "room") speaking.add(target);
    const urgent = ([room_id, room]) => (room.waiters.length || speaking.has(room_id) ? 0 : 1);
    due.sort((a, b) => urgent(a) - urgent(b));
    const most = Math.max(1, Math.floor(this.limits.join_rooms ?? 1));
    while (due.length) {
      if (this.#joinsAtOnce > 0) this.#joinsAtOnce -= 1;
      else if (now >= this.#nextJoin) this.#nextJoin = now + Math.max(this.#joinPause, this.#pace());
      else break;
      this.#sendJoin(due, most);
    }
    if (due.length) wakeAt = Math.min(wakeAt, this.#nextJoin);
    if (wakeAt < Infinity) this.#timers.after(Math.max(5, wakeAt - now), () => this.#pumpJoins(), "join");
  }

  /** The time between two messages at the rate of the server, with something left for our other sessions. */
  #pace() { return 1_200 / (this.limits.rate?.per_second || CAREFUL_RATE); }

  /**
   * Takes rooms from the front of `due` and asks for them by one message: for one, or for as many as the server takes.
   */
  #sendJoin(due, most) {
    const id = uuid();
    const asked = [];
    const rooms = [];
    let bytes = JOIN_ENVELOPE;
    while (due.length && rooms.length < most) {
      const [room_id, room] = due[0];
      const fields = { room_id };
      if (room.epoch !== null) fields.since = { epoch: room.epoch, seq: room.seq };
      if (room.history > 0) fields.history = room.history;
      bytes += utf8Length(encode(fields)) + 1;
      if (rooms.length && bytes > (this.limits.message_bytes ?? Infinity)) break;
      due.shift();
      room.asked = id;
      asked.push([room_id, room]);
      rooms.push(fields);
    }
    this.#watchJoin(id, asked);
    this.#transmit(rooms.length === 1 ? { ...rooms[0], type: "join", id } : { type: "join", rooms, id });
  }

  /** A join that is never answered is sent again, without the rooms that were answered. */
  #watchJoin(id, asked) {
    let waiting = asked.length;
    const look = () => {
      const left = asked.filter(([, room]) => room.asked === id);
      if (left.length === 0) return;
      if (left.length < waiting) {
        waiting = left.length;
        this.#timers.after(ANSWER_WITHIN, look);
        return;
      }
      for (const [, room] of left) room.asked = null;
      this.#pumpJoins();
    };
    this.#timers.after(ANSWER_WITHIN, look);
  }

  /**
   * An error that answers a join: of one room, which it names where it was one of a list (then it has no `id`), or of
   * all that were asked for by that message. Returns whether it was one.
   */
  #handleJoinError(id, room_id, error) {
    const asked = [...this.#rooms].filter(([name, room]) => room.asked !== null
      && (id === undefined ? room_id === name : room.asked === id && (room_id === undefined || room_id === name)));
    if (asked.length === 0) return false;
    if (error.code === "rate_limited") {
      this.#joinsAtOnce = 0;
      this.#joinPause = Math.min(JOIN_PAUSE_MAX, Math.max(this.#joinPause * 1.5, this.#pace()));
      this.#nextJoin = elapsed() + (error.retryAfter ?? 0) + this.#random() * this.#joinPause;
    }
    for (const [name, room] of asked) {
      room.asked = null;
      if (!error.retry) {
        this.#forgetRoom(name, error);
        this.#emit("join_refused", { room_id: name, error });
        continue;
      }
      if (error.code !== "rate_limited") {
        room.tries += 1;
        const wait = Math.max(error.retryAfter ?? 0, BACKOFF_BASE * 2 ** Math.min(room.tries, 6));
        room.notBefore = elapsed() + wait * (1 + this.#random());
        this.#emit("join_delayed", { room_id: name, error });
      }
    }
    this.#pumpJoins();
    return true;
  }

  /** We are not in a room and not on the way into it: messages for it are refused. */
  #forgetRoom(room_id, error) {
    const room = this.#rooms.get(room_id);
    this.#rooms.delete(room_id);
    for (const { reject } of room?.waiters.splice(0) ?? []) reject(error);
    for (const entry of [...this.#outbox.values()]) if (entry.kind === "room" && entry.target === room_id) this.#refuse(entry, error);
    this.#countRooms();
  }

  #refuse(entry, error) {
    this.#outbox.delete(entry.id);
    this.#outboxChanged();
    this.#emit("refused", { entry, error });
  }

  #handleJoined(message) {
    const room = this.#rooms.get(message.room_id);
    const first = room.epoch === null;
    const reset = !first && (room.epoch !== message.epoch || message.seq < room.seq);
    room.joined = true;
    room.asked = null;
    room.tries = 0;
    this.#joinPause *= 0.8;
    room.fresh = first || reset || !message.recovered;
    room.replayEnd = message.seq;
    if (reset) room.seq = 0;
    if (first && !room.history) room.seq = message.seq;
    room.epoch = message.epoch;
    this.#emit("joined", { ...message, reset, first });
    for (const { resolve } of room.waiters.splice(0)) resolve(message);
    this.#countRooms();
    this.#pumpOutbox();
  }

  /**
   * The server has us in a room that we do not want to be in any more: we were put out of it, or were refused, while
   * another join was on its way; or it has not heard that we leave. One that is being left is left without this.
   */
  #leaveAgain(room_id) {
    if (!this.#isLeft(room_id)) this.request("leave", { room_id }).catch(() => {});
  }

  #handleBroadcast(message) {
    if (message.room_id === "*") return this.#emit("announcement", message);
    this.#handleEntry("message", message);
    this.#confirmIfOurs(message);
  }

  /** A message of a room, or what was done to one: each has the next number. */
  #handleEntry(name, entry) {
    const room = this.#rooms.get(entry.room_id);
    if (entry.seq <= room.seq) return;
    // The server names every hole; should it ever not, we do. Messages before a page of history are no hole.
    if (!room.fresh && entry.seq > room.seq + 1) {
      this.#emit("gap", { room_id: entry.room_id, epoch: room.epoch, from: room.seq + 1, to: entry.seq - 1, why: "missing" });
    }
    room.fresh = false;
    room.seq = entry.seq;
    this.#emit(name, { ...entry, epoch: room.epoch, replayed: entry.seq <= room.replayEnd });
  }

  #handleGap(message) {
    const room = this.#rooms.get(message.room_id);
    if (room.epoch === message.epoch && message.to > room.seq) room.seq = message.to;
    this.#emit("gap", message);
  }

  /** `online_users` follows the replay: messages that were not replayed until now are no longer kept. */
  #endReplay(room_id) {
    const room = this.#rooms.get(room_id);
    if (!room.joined) return;
    room.seq = Math.max(room.seq, room.replayEnd);
    room.fresh = false;
  }

  #handleError(message) {
    const error = new SalonError(message);
    // Before the welcome, only a server that waits for a token sends an error, and we have shown the token that we
    // have.
    if (this.#state === "connecting" && error.code === "unauthorized") return this.#giveUp(error.message, UNAUTHORIZED);
    if (this.#handleJoinError(message.id, message.room_id, error)) return;
    const entry = this.#outbox.get(message.id);
    if (entry) return this.#handleRefusal(entry, error);
    const request = this.#requests.get(message.id);
    if (request) {
      if (error.code === "rate_limited" && error.retry) { // for as long as an answer is waited for
        request.tries = Math.min(request.tries + 1, TRIES_MAX);
        // Not all at one instant.
        const wait = (error.retryAfter ?? BACKOFF_BASE) + this.#random() * this.#pace() * 2 ** request.tries;
        this.#timers.after(wait, () => this.#transmit(request.message), `again ${message.id}`);
        return;
      }
      this.#endRequest(message.id);
      return request.reject(error);
    }
    this.#emit("error", error);
  }

  // Outgoing -------------------------------------------------------------------------------------------------------

  #enqueue(kind, target, content, reply_to, epoch) {
    if (this.#outbox.size >= OUTBOX_MAX) return null;
    const entry = { id: uuid(), kind, target: normalName(target), content: wellFormed(content), reply_to, epoch, queuedAt: Date.now(), socket: null, firstSent: 0, lastSent: 0, notBefore: 0, tries: 0 };
    this.#outbox.set(entry.id, entry);
    this.#outboxChanged();
    this.#emit("queued", entry);
    this.#pumpOutbox();
    return entry;
  }

  /**
   * Sends the first unconfirmed message of each room and person, unless it is already on its way on this connection.
   */
  #pumpOutbox() {
    this.#timers.end("outbox");
    if (this.#state !== "connected") return;
    const now = elapsed();
    const busy = new Set();
    let wakeAt = Infinity;
    for (const entry of [...this.#outbox.values()]) {
      const lane = `${entry.kind}\n${entry.target}`;
      if (busy.has(lane)) continue;
      if (entry.kind === "room" && !this.isJoined(entry.target)) continue;
      if (entry.socket !== this.#socket && entry.firstSent && Math.abs(Date.now() - entry.firstSent) > REPEAT_WITHIN) {
        this.#refuse(entry, new SalonError({ code: "unconfirmed", message: "The connection was lost before this message was confirmed" }));
        continue;
      }
      // The number of the message that it answers is that of another one in a room that has begun anew.
      if (entry.epoch !== undefined && entry.epoch !== this.position(entry.target).epoch) entry.reply_to = entry.epoch = undefined;
      if (this.lengthProblem(entry.kind, entry.target, entry.content)) {
        this.#refuse(entry, new SalonError({ code: "too_large", message: "This message is longer than the server takes" }));
        continue;
      }
      busy.add(lane);
      const inFlight = entry.socket === this.#socket && now - entry.lastSent < ANSWER_WITHIN;
      const due = Math.max(entry.notBefore, inFlight ? entry.lastSent + ANSWER_WITHIN : this.#nextSend);
      if (due > now) {
        wakeAt = Math.min(wakeAt, due);
        continue;
      }
      entry.socket = this.#socket;
      const known = entry.firstSent;
      entry.firstSent ||= Date.now();
      entry.lastSent = now;
      if (!known) this.#outboxChanged();
      if (now < this.#slowUntil) this.#nextSend = now + 1_200 / (this.limits.rate?.per_second || CAREFUL_RATE);
      wakeAt = Math.min(wakeAt, now + ANSWER_WITHIN);
      this.#transmit(spoken(entry));
    }
    if (wakeAt < Infinity) this.#timers.after(wakeAt - now + 5, () => this.#pumpOutbox(), "outbox");
  }

  /** An `id` may stand on everybody's copy; it is an answer only where the sender is us. */
  #confirmIfOurs(message) {
    if (message.id !== undefined && message.sender === this.userId && this.#outbox.has(message.id)) this.#confirm(message.id, message, false);
  }

  #confirm(id, { seq, ts }, duplicate) {
    const entry = this.#outbox.get(id);
    this.#outbox.delete(id);
    this.#outboxChanged();
    this.#emit("sent", { entry, seq, ts, duplicate });
    this.#pumpOutbox();
  }

  #handleRefusal(entry, error) {
    if (error.retry && entry.tries < TRIES_MAX) {
      // The whole lane waits with it, so that what was said later is not heard earlier.
      entry.tries += error.code === "rate_limited" ? 0 : 1;
      entry.socket = null;
      entry.notBefore = elapsed() + (error.retryAfter ?? this.#jitter(entry.tries));
      entry.firstSent = 0; // a refused message is not said: the five minutes begin with the next try
      if (error.code === "rate_limited") {
        this.#slowUntil = elapsed() + SLOW_FOR;
        this.#nextSend = entry.notBefore;
      }
    } else {
      this.#refuse(entry, error);
    }
    this.#pumpOutbox();
  }

  // The connection -------------------------------------------------------------------------------------------------

  #handleClose(code, reason) {
    if (code === MESSAGE_TOO_BIG) this.#refuseLargest();
    this.#dropSocket();
    const goodbye = this.#goodbye;
    const why = { code, reason: reason || goodbye?.reason || "" };
    const family = Math.floor(code / 100);
    if (family === 40 || goodbye?.reconnect === false) return this.#setState("closed", why);
    if (family === 42 && !this.#hurried) {
      this.#hurried = true;
      return this.#retryIn(0, why);
    }
    this.#attempts += 1;
    this.#retryIn((goodbye?.after_ms ?? 0) + this.#jitter(this.#attempts), why);
  }

  /**
   * The server has closed because of a message that was too large: the longest that is on its way will not be sent
   * again.
   */
  #refuseLargest() {
    const size = (entry) => utf8Length(encode(spoken(entry)));
    const onTheWay = this.outbox.filter((entry) => this.#socket !== null && entry.socket === this.#socket);
    if (onTheWay.length === 0) return;
    const largest = onTheWay.reduce((most, entry) => (size(entry) > size(most) ? entry : most));
    this.#refuse(largest, new SalonError({ code: "too_large", message: "The server takes no message of that length" }));
  }

  #dropSocket() {
    this.#socket = null;
    this.#setStalled(false);
    this.#timers.endAll();
    const lost = new SalonError({ code: "disconnected", message: "The connection was lost", retry: true });
    for (const room of this.#rooms.values()) {
      Object.assign(room, { joined: false, asked: null, notBefore: 0, tries: 0 });
      for (const { reject } of room.waiters.splice(0)) reject(lost);
    }
    const requests = [...this.#requests.values()];
    this.#requests.clear();
    for (const { reject } of requests) reject(lost);
  }

  #retryIn(delay, why) {
    this.#timers.after(delay, () => this.connect(), "retry");
    this.#setState("waiting", { retryAt: Date.now() + delay, ...why });
  }

  /**
   * Full jitter: anywhere between nothing and the ceiling, so that a thousand clients do not come back in one instant.
   */
  #jitter(attempt) {
    const ceiling = Math.min(BACKOFF_MAX, BACKOFF_BASE * 2 ** Math.min(attempt - 1, 16));
    return Math.max(50, Math.round(this.#random() * ceiling));
  }

  #checkLiveness() {
    const now = elapsed();
    if (this.#state === "connecting") {
      if (now - this.#lastHeard > OPEN_WITHIN) this.#giveUp("The server does not answer");
    } else if (this.#probeSince) {
      if (now - this.#probeSince > PONG_WITHIN) this.#giveUp("The server has gone silent");
      else if (now - this.#probeSince > STALLED_AFTER) this.#setStalled(true);
    } else if (now - this.#lastHeard > (this.#welcome?.ping_interval_ms ?? PING_AFTER) || (this.#askedSince && now - this.#askedSince > PING_UNANSWERED_AFTER)) {
      this.probe();
    }
  }

  /** Does not wait for the close handshake of a peer that has stopped talking. */
  #giveUp(reason, code = 1006) {
    const socket = this.#socket;
    this.#handleClose(code, reason);
    socket.close();
  }
}

/**
 * All timers of a client: they end with the connection that they were for, and the wait for the next one with
 * `connect` or `close`. No other place in this file starts a timer, so none is left behind.
 */
class Timers {
  #running = new Map();

  /** Runs something once. A timer of the same name ends before. */
  after(ms, run, name = Symbol("once")) {
    this.end(name);
    this.#running.set(name, setTimeout(() => {
      this.#running.delete(name);
      run();
    }, ms));
  }

  /** Runs something again and again. */
  every(ms, run, name) {
    this.end(name);
    this.#running.set(name, setInterval(run, ms));
  }

  end(name) {
    clearTimeout(this.#running.get(name)); // which ends an interval too
    this.#running.delete(name);
  }

  endAll() {
    for (const name of [...this.#running.keys()]) this.end(name);
  }
}

/** A name as the server keeps and sends it: in normal form C, in whatever form it was written. */
export function normalName(name) { return name.normalize("NFC"); }

/**
 * What is wrong with a name for a user or a room, as the server judges it; null if nothing is. For those who have words
 * of their own for each `code`: `empty`, `reserved`, `too_long` by `count` characters, `blank`, or one of
 * `characterFault`.
 */
export function nameFault(written) {
  const name = normalName(written);
  if (name === "") return { code: "empty" };
  if (name === "*") return { code: "reserved" };
  const bytes = utf8Length(name);
  if (bytes > NAME_BYTES_MAX) return { code: "too_long", count: tooMany(name, bytes) };
  return characterFault(name) ?? (/^\p{White_Space}|\p{White_Space}$/u.test(name) ? { code: "blank" } : null);
}

/**
 * What is wrong with the characters of a name, or of a note beside a status; null if nothing is. The `code` is
 * `control`, `direction`, `no_text`, or `unseen`, with the `character`.
 */
export function characterFault(text) {
  if (/\p{Cc}/u.test(text)) return { code: "control" };
  if (/[\u202A-\u202E\u2066-\u2069]/u.test(text)) return { code: "direction" };
  if (/\p{Cs}/u.test(text)) return { code: "no_text" };
  const hidden = unseen(text);
  return hidden === undefined ? null : { code: "unseen", character: `U+${hidden.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}` };
}

const FAULTS = {
  empty: () => "Please enter a name.",
  reserved: () => "“*” is reserved.",
  too_long: ({ count }) => `That is too long. Please leave out ${count === 1 ? "one character" : `${count} characters`}.`,
  blank: () => "A blank at the beginning or the end is not allowed.",
  control: () => "Control characters (tabs, line breaks …) are not allowed.",
  direction: () => "Characters that reverse the direction of text are not allowed.",
  no_text: () => "That is not valid text.",
  unseen: ({ character }) => `Characters that nobody sees are not allowed; this has ${character}.`,
};
const inEnglish = (fault) => fault && FAULTS[fault.code](fault);

/** What is wrong with a name for a user or a room, in a sentence; null if nothing is. */
export function nameProblem(written) { return inEnglish(nameFault(written)); }

/** What is wrong with the characters of a name, or of a note beside a status, in a sentence; null if nothing is. */
export function characterProblem(text) { return inEnglish(characterFault(text)); }

/** The first invisible character, as the server judges it: joiners and U+FE0F pass where they change the display. */
function unseen(name) {
  const characters = [...name];
  return characters.find((character, at) => {
    if (!UNSEEN.test(character)) return false;
    const { [at - 1]: before = "", [at + 1]: next = "" } = characters;
    if (/[\u200C\u200D]/u.test(character) && JOINED.some((script) => script.test(before) && script.test(next))) return false;
    if (character === "\u200D") return !((PICTURE.test(before) || before === "\uFE0F") && PICTURE.test(next));
    return !(character === "\uFE0F" && (PICTURE.test(before) || (next === "\u20E3" && /[0-9#*]/u.test(before))));
  });
}

/** How many characters at the end of a name are too many. */
function tooMany(name, bytes) {
  let count = 0;
  for (const character of [...name].reverse()) {
    if (bytes <= NAME_BYTES_MAX) break;
    bytes -= utf8Length(character);
    count += 1;
  }
  return count;
}

/** Halves of characters, which are no text, become U+FFFD, as everywhere where text is encoded. */
export function wellFormed(text) { return text.replace(/\p{Cs}/gu, "\uFFFD"); }

/** A message as it goes over the wire: always JSON in well-formed text. */
export function encode(message) {
  return JSON.stringify(message, (_, value) => (typeof value === "string" ? wellFormed(value) : value));
}

/** Time that goes on evenly, whatever is done to the clock. */
function elapsed() { return globalThis.performance?.now() ?? Date.now(); }

const encoder = new TextEncoder();
export function utf8Length(text) { return encoder.encode(text).length; }

/** The message that says an entry of the outbox. */
function spoken({ id, kind, target, content, reply_to }) {
  return kind === "room" ? { type: "broadcast", id, room_id: target, content, reply_to } : { type: "direct", id, user_id: target, content, reply_to };
}

/** A version 4 UUID. `crypto.randomUUID` exists only on secure pages; a chat on a LAN is served without TLS. */
export function uuid() {
  if (globalThis.crypto.randomUUID) return globalThis.crypto.randomUUID();
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

const SUB_PROTOCOL = "salon.v1";
const PROTOCOL_TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/u; // tokens that may stand in a list of sub-protocols
const TOKEN_IN_OPENING = 4_000; // heads of 8 KiB are common limits of proxies, and cookies stand there too
const MESSAGE_TOO_BIG = 1009;
const JOINS_AT_ONCE = 10; // a quarter of what a user may usually send at once: there may be other tabs
const JOIN_PAUSE_MAX = 1_500;
const JOIN_ENVELOPE = 80; // bytes of a `join` around its list
const NAME_BYTES_MAX = 128;
// Words for the address; with another word there, the server would open no connection.
const IN_ADDRESS = ["away", "busy", "offline"];
const UNSEEN = /[\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\u2800\uFFF9-\uFFFB]|(?![ \u3000])\p{White_Space}/u;
const JOINED = [/[\u0600-\u08FF]/u, /[\u0900-\u0DFF]/u];
const PICTURE = /[\u00A9\u00AE\u203C\u2049\u2122\u2139\u2190-\u27FF\u2900-\u2BFF\u3030\u303D\u3297\u3299\u{1F000}-\u{1FAFF}]/u;
const BACKOFF_BASE = 500;
const BACKOFF_MAX = 20_000;
const STABLE_AFTER = 5_000;
const LIVENESS_TICK = 1_000;
const OPEN_WITHIN = 15_000;
const WELCOME_WITHIN = 400;
const UNAUTHORIZED = 4001;
const PING_AFTER = 25_000; // until `welcome` says what the server does
const PING_UNANSWERED_AFTER = 5_000;
const STALLED_AFTER = 2_000;
const PONG_WITHIN = 10_000;
const ANSWER_WITHIN = 15_000;
const REPEAT_WITHIN = 4.5 * 60_000; // the server remembers an id for five minutes
const REQUESTS_MAX = 512;
const OUTBOX_MAX = 200;
const TRIES_MAX = 6;
const SLOW_FOR = 30_000;
const CAREFUL_RATE = 10; // messages a second where the server named no rate, and still answers `rate_limited`
