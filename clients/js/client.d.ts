/**
 * A client for the JSON dialect of Salon, a chat server. It reconnects, resumes without a hole, and says nothing twice.
 *
 * Times: `ts` and other fields with a point in time are milliseconds since the Unix epoch; fields whose names end in
 * `_ms`, and `retryAfter`, are spans in milliseconds. `seq` is the number of an entry in its conversation, from 1 and
 * without holes. Names of users and rooms are in Unicode's normal form C, however they were written.
 */

/** Codes of errors. An `error` of the server, or one of the last four, which the client makes itself. */
export type ErrorCode =
  | "bad_json" | "bad_request" | "unknown_type" | "unauthorized" | "token_expired" | "forbidden" | "room_not_found"
  | "user_not_found" | "not_found" | "not_joined" | "too_large" | "too_many_rooms" | "room_full" | "rate_limited"
  | "epoch_changed" | "history_gone" | "overloaded" | "backend_down" | "unsupported" | "internal"
  /** The request found no connection, or the connection ended before the answer. */
  | "disconnected"
  /** The server did not answer within 15 s. */
  | "timeout"
  /** Whether the server has a message cannot be known any more; the client does not risk to say it twice. */
  | "unconfirmed"
  /** A server that is newer than these types may have other codes. */
  | (string & {});

/** What an `error` of the server has, and what a `SalonError` is made of. */
export interface ErrorFields {
  code: ErrorCode;
  /** What was expected and what was found, for people. */
  message?: string;
  /** Whether the same request may succeed later. */
  retry?: boolean;
  /** When, in milliseconds from now. */
  retry_after_ms?: number;
}

/** An `error` of the server, or a request that found no connection (`disconnected`) or no answer (`timeout`). */
export class SalonError extends Error {
  constructor(fields: ErrorFields);
  name: "SalonError";
  code: ErrorCode;
  /** Whether the same request may succeed later. */
  retry: boolean;
  /** When, in milliseconds from now. */
  retryAfter: number | undefined;
}

/**
 * Where the connection is. `idle`: `connect` was never called. `connecting`: until the server has welcomed us.
 * `waiting`: it was lost, and is tried again at `retryAt`. `closed`: for good; only `connect` comes back.
 */
export type ConnectionState = "idle" | "connecting" | "connected" | "waiting" | "closed";

/** `offline` hides us from others. */
export type Status = "online" | "away" | "busy" | "offline";

/** A conversation: a room, or what we and one other person write to each other. */
export type Target = { room_id: string; user_id?: undefined } | { user_id: string; room_id?: undefined };

/** A place in a room up to which nothing is missing. `epoch` names one numbering of the room; it is opaque. */
export interface Position {
  epoch: string;
  seq: number;
}

/** What the server allows; an older or another server may leave any of it out. */
export interface Limits {
  /** Bytes of a whole message as it is sent; the connection ends with Close 1009 past it. */
  message_bytes?: number;
  /** Bytes of `content` as UTF-8. */
  content_bytes?: number;
  /** Rooms of a session. */
  rooms?: number;
  /** Rooms in one `join`; absent where a `join` is for one room. */
  join_rooms?: number;
  /** How many members a room may have for us to call all of them by `@room`; 0: we call no room. */
  mention_room?: number;
  /** Messages of a user, of any kind; null where there is no limit. */
  rate?: { per_second: number; burst: number } | null;
}

/** A message of ours that is not confirmed yet. Plain data but for `socket`: {@link SavedEntry} is what to keep. */
export interface OutboxEntry extends SavedEntry {
  /** The connection that it was last sent on. */
  socket: unknown;
  /** Of `performance.now()`: when it was last sent, and before when it is not sent. */
  lastSent: number;
  notBefore: number;
  /** How often the server has refused it with `retry`. */
  tries: number;
}

/** What of an {@link OutboxEntry} has to be kept so that another client can go on with it (`outbox`, `resume`). */
export interface SavedEntry {
  /** A UUID. The server says a message once, however often it comes with the same `id`. */
  id: string;
  kind: "room" | "person";
  /** The room or the person. */
  target: string;
  content: string;
  /** The `seq` of the message that it answers. */
  reply_to?: number | undefined;
  /** The epoch of that message; in a room that has begun anew the entry answers none. */
  epoch?: string | undefined;
  /** When it was put on the outbox. */
  queuedAt: number;
  /** When it was first sent; 0: never. */
  firstSent?: number;
}

/** One emoji at a message. */
export interface ReactionCount {
  /** An emoji, or a name between colons (`:wave:`). */
  emoji: string;
  /** Users in all. */
  count: number;
  /** The first 20 of them. */
  users: string[];
  /** Whether we are one. */
  me: boolean;
}

/** A message as it stands: with its last text. One that is deleted keeps its place, without `content`. */
export interface StandingMessage {
  sender: string;
  /** Absent if the message is deleted. */
  content?: string;
  seq: number;
  ts: number;
  /** The `seq` of the message that it answers. */
  reply_to?: number;
  /** Its text calls everybody in the room: the server has decided that its author may. */
  mentions?: "room";
  /** When its text was last changed. */
  edited?: number;
  deleted?: true;
  reactions?: ReactionCount[];
}

/** A message in a room. */
export interface RoomMessage extends StandingMessage {
  type: "broadcast";
  room_id: string;
  /** On the copy for the session that sent it. */
  id?: string;
}

/** A message between two people, of whom we are one. */
export interface DirectMessage {
  type: "direct";
  sender: string;
  /** To whom. */
  user_id: string;
  content: string;
  seq: number;
  ts: number;
  reply_to?: number;
  /** On the copy for the session that sent it. */
  id?: string;
}

/** A broadcast to everybody. It is in no room, has no number and is not kept. */
export interface Announcement {
  type: "broadcast";
  room_id: "*";
  sender: string;
  content: string;
  ts: number;
  id?: string;
}

/** What every entry has that is not a message but was done to one. */
interface Done {
  id?: string;
  /** The room, if it was done there. */
  room_id?: string;
  /** The other person, if it was done between us and them. */
  user_id?: string;
  /** The `seq` of the message. */
  of: number;
  /** The person who did it. */
  sender: string;
  seq: number;
  ts: number;
}

/** Where an entry of a room stands; absent between two people. */
interface Placed {
  epoch?: string;
  /** Whether we were away when it was done. */
  replayed?: boolean;
}

/** A message has another text. */
export interface Edited extends Done {
  type: "edited";
  /** Absent if the message is deleted since. */
  content?: string;
  deleted?: true;
  /** The text calls everybody in the room. */
  mentions?: "room";
}

/** A message is deleted. */
export interface Deleted extends Done {
  type: "deleted";
}

/** A reaction was put at a message (`on`), or taken back. */
export interface Reaction extends Done {
  type: "reaction";
  emoji: string;
  on: boolean;
}

/** The server has done it, and there is nothing to say about it. */
export interface Ack {
  type: "ack";
  id: string;
  /** Of `authenticate`: when the token ends. */
  expires_at?: number;
}

/** The answer to `join`; see the event. */
export interface Joined {
  type: "joined";
  id?: string;
  room_id: string;
  user_id: string;
  epoch: string;
  /** The number of the room's last entry, to which the replay leads. */
  seq: number;
  /** Whether all that was missed follows. */
  recovered: boolean;
  /** How many users are in the room, we included. */
  members: number;
  /** Up to where we have read; guests have none. */
  read?: number;
  /** How many messages of others are behind that. */
  unread?: number;
}

/** The answer to `leave`. */
export interface Left {
  type: "left";
  id?: string;
  room_id: string;
  /** `kicked`; on the event alone. */
  reason?: string;
}

/** A page of a list: at most 200 items (50 if `limit` is absent), from behind the `next` of the page before. */
export interface Page {
  limit?: number;
  cursor?: string;
}

/** A page of `history`: the newest one without bounds; `before` and `after` are exclusive, and not both. */
export interface HistoryPage {
  before?: number;
  after?: number;
  /** At most 200; 50 if absent. */
  limit?: number;
  /** Rejected with `epoch_changed` if numbers have begun anew. */
  epoch?: string;
}

export interface History {
  type: "history";
  id: string;
  room_id?: string;
  user_id?: string;
  epoch: string;
  /** In rising order of `seq`; numbers between them are of entries that are no messages. */
  items: StandingMessage[];
  /** `before` or `after` of the next page (`before`, if there were no bounds); absent on the last. */
  next?: number;
  /** Numbers that are not kept any more. */
  gap?: { from: number; to: number; why: string };
}

/** Where to search; nothing: in the rooms that we are in, and in all our direct conversations. */
export interface Where {
  room_id?: string;
  user_id?: string;
  sender?: string;
  /** Said before this time. */
  before?: number;
  /** At most 50; 20 if absent. */
  limit?: number;
  cursor?: string;
}

export interface Found {
  type: "found";
  id: string;
  /** Newest first. A page with `next` may be short or empty all the same. */
  items: { room_id?: string; user_id?: string; seq: number; sender: string; content: string; ts: number }[];
  next?: string;
}

export interface Conversations {
  type: "conversations";
  id: string;
  /** Those in which something was said last come first. `ts` is of the last message, `seq` of the last entry. */
  conversations: { user_id: string; seq: number; ts: number; read: number; unread: number }[];
  next?: string;
}

export interface Presence {
  status: Status;
  devices: number;
  note?: string;
}

export interface Members {
  type: "members";
  id: string;
  room_id: string;
  members: ({ user_id: string } & Presence)[];
  /** All of them. */
  count: number;
  next?: string;
}

export interface Room {
  type: "room";
  id: string;
  room_id: string;
  /** A title; the `room_id` where there is none. */
  name: string;
  topic?: string;
  created_at: number;
  /** How many users are in it. */
  members: number;
  /** How many entries are kept. */
  messages: number;
  seq: number;
  epoch: string;
  /** Of `createRoom`: false if the room was there already. */
  created?: boolean;
}

export interface Topic {
  type: "topic";
  /** Of an answer. */
  id?: string;
  room_id: string;
  /** The title of the room; without one, its `room_id`. Absent from servers of before. */
  name?: string;
  /** Empty: about nothing. */
  topic: string;
  sender?: string;
}

export interface Rooms {
  type: "rooms";
  id: string;
  /** `read` and `unread` of those that this session is in, and where it was asked for. */
  rooms: { room_id: string; name: string; members: number; joined: boolean; read?: number; unread?: number }[];
  next?: string;
}

export interface Online {
  type: "online";
  id: string;
  users: string[];
  count: number;
  next?: string;
}

export interface PresenceState {
  type: "presence_state";
  id: string;
  room_id?: string;
  users: { [user_id: string]: Presence };
}

export interface Welcome {
  type: "welcome";
  id?: string;
  user_id: string;
  status?: Status;
  note?: string;
  session_id: string;
  /** Name and version, `salon/0.1.0`. */
  server: string;
  limits: Limits;
  ping_interval_ms: number;
  /** What a message has survived when anybody hears of it: `memory`, `process` (its end) or `power` (its failure). */
  durability: string;
  /** When the token ends. */
  expires_at?: number;
}

/** What `on(name, listener)` hands to the listener. */
export interface EventMap {
  /** `code` and `reason` are of the last close; `retryAt` is there while `waiting`. */
  state: { state: ConnectionState; retryAt?: number; code?: number; reason?: string };
  /** The server is asked for a sign of life and has given none for 2 s; and that this is over. */
  stalled: { stalled: boolean };
  /** Always after `state: "connected"`. `resumed`: it is not the first of this client. */
  welcome: Welcome & { resumed: boolean };
  /** How many rooms we want to be in and are not in yet. */
  joining: { left: number };
  /**
   * We are in a room, or it has begun anew while we are. The replay follows; `online_users` ends it. `reset`: the
   * numbers have begun anew, and what is known of the room is of another epoch. `first`: nothing was known of it.
   */
  joined: Joined & { reset: boolean; first: boolean };
  /** A room cannot be joined now; it is tried again. */
  join_delayed: { room_id: string; error: SalonError };
  /** A room cannot be joined. It is not tried again before `join`; what was on the outbox for it is `refused`. */
  join_refused: { room_id: string; error: SalonError };
  /** Somebody, also we, said something in a room: each message once, in order. `replayed`: while we were away. */
  message: RoomMessage & { epoch: string; replayed: boolean };
  /** Numbers `from` to `to` of a room are not to be had: `expired`, `epoch_changed` or `missing`. */
  gap: { room_id: string; epoch: string; from: number; to: number; why: string; type?: "gap" };
  /** Somebody wrote to us, or we to somebody, on this device or another one. */
  direct: DirectMessage;
  edited: Edited & Placed;
  deleted: Deleted & Placed;
  reaction: Reaction & Placed;
  /** We have read a conversation up to `seq`, on another device. */
  read: { type: "read"; room_id?: string; user_id?: string; seq: number };
  announcement: Announcement;
  /** A message of ours was put on the outbox. */
  queued: OutboxEntry;
  /**
   * The server has it. `duplicate`: the client asked again, or heard no copy of its own; what `seq` names is the same.
   */
  sent: { entry: OutboxEntry; seq: number; ts: number; duplicate: boolean };
  /** It is given up, and off the outbox. */
  refused: { entry: OutboxEntry; error: SalonError };
  /** What is on the outbox is another than before: for those who keep it. */
  outbox: { entries: OutboxEntry[] };
  /** We have been put out of a room, which is not joined again before `join`. */
  left: Left;
  user_joined: { type: "user_joined"; room_id: string; user_id: string };
  user_left: { type: "user_left"; room_id: string; user_id: string };
  /** The people in a room; in one with more than 100 users, a sample. */
  online_users: { type: "online_users"; room_id: string; users: string[]; count: number };
  /** Somebody whom we watch is another than before. */
  presence: { type: "presence"; user_id: string; status: Status; note?: string };
  presence_state: PresenceState;
  /** Without `room_id`, to us alone. Let it end by itself 7 s after the last `true`. */
  /** What a room is about: `sender` has just said so. Without `sender`, it may have been changed while we did not hear. */
  topic: Topic;
  typing: { type: "typing"; room_id?: string; user_id: string; typing: boolean };
  /** How we are, as the server holds it: set on another device, or before this client came. */
  status: { status: Status; note: string };
  /** An error that answers no request, `token_expired` say. */
  error: SalonError;
  /** The server is about to close the connection. */
  /** Before a close. `until`: when a ban ends by itself, a time as that of messages. */
  goodbye: { type: "goodbye"; reason: string; reconnect: boolean; after_ms?: number; until?: number };
}

/** What the client uses of a `WebSocket`: the platform's, or `ws` from npm. */
export interface WebSocketLike {
  readonly readyState: number;
  onopen: ((event: any) => any) | null;
  onmessage: ((event: any) => any) | null;
  onclose: ((event: any) => any) | null;
  send(data: string): void;
  close(code?: number): void;
}

export interface Options {
  /** The address of `/ws`: `wss://chat.example/ws`. */
  url: string;
  /** Our name, where names are free; without it we are a guest. Not looked at where there is a token. */
  user?: string;
  /** A token (JWT) that proves who we are. */
  token?: string;
  /** The outbox of a former client, with which this one goes on. */
  outbox?: SavedEntry[];
  /** How we are, sent behind each `welcome`. */
  status?: { status: Status; note: string };
  /** Another `WebSocket` than the platform's. */
  WebSocket?: new (url: URL, protocols: string[]) => WebSocketLike;
  /** Another `Math.random`: of the waits. */
  random?: () => number;
}

/**
 * One session. Requests answer with a promise, which is rejected with a {@link SalonError}: with a code of the server,
 * `disconnected`, `timeout` (15 s), or `overloaded` (512 are open). A listener that throws does not disturb the client;
 * what it throws is an uncaught exception, as in any `EventTarget`.
 */
export class SalonClient {
  constructor(options: Options);

  readonly state: ConnectionState;
  /** Our name by the server's word; until it has spoken, the name that we asked for. */
  readonly userId: string | undefined;
  /** The limits of the server; nothing is known before `welcome`. */
  readonly limits: Limits;
  /** Our messages that are not confirmed yet, in the order they were said; at most 200. */
  readonly outbox: OutboxEntry[];
  /** How many rooms we want to be in and are not in yet. */
  readonly roomsLeft: number;

  /** Listens for an event. Returns a function that ends the listening. */
  on<K extends keyof EventMap>(name: K, listener: (detail: EventMap[K]) => void): () => void;

  /** Connects, or tries again at once when it is waiting to. */
  connect(): void;
  /** Leaves for good. Messages on the outbox stay there, and are sent if `connect` comes back. */
  close(): void;
  /** Asks for a sign of life now: for the moments when a network change or a wake from sleep is likely. */
  probe(): void;

  /**
   * Sends any request of `docs/wire.md` and resolves with its answer. One that came too fast (`rate_limited`) is sent
   * again when it may be, within the 15 s for the answer.
   */
  request<Answer = any>(type: string, fields?: object): Promise<Answer>;

  /**
   * Joins a room and stays in it over reconnects. `since` resumes where a former client stopped; `history` asks for the
   * last n messages (at most 200). The promise is of the server's answer, however long a server that says `retry` lets
   * us wait; it is rejected when the join is refused for good, and with `disconnected` when the connection ends before:
   * then the room is joined with the next one. Without a connection it is null, and the room is joined when there is
   * one.
   */
  join(name: string, options?: { history?: number; since?: Position }): Promise<Joined | null>;
  /** Leaves a room, which is not joined again. Messages on the outbox for it are not sent. */
  leave(name: string): Promise<Left | null>;
  /** `{epoch, seq}` of the last entry given out, for a later `since`; null before the room was joined. */
  position(room_id: string): Position | null;
  /** Whether we are in a room or on the way into it: false once a join was refused. */
  has(room_id: string): boolean;
  isJoined(room_id: string): boolean;

  /**
   * Says something in a room. It is kept until it is confirmed (`sent`) or refused for good (`refused`), also without a
   * connection, and said once. In a room it waits until we are in. `reply_to` is the `seq` of the message that it
   * answers; if the room begins anew before it is said, it answers none. `epoch` is that of the message, if it is not
   * of now. Returns null if 200 are on the outbox.
   */
  say(room_id: string, content: string, options?: { reply_to?: number; epoch?: string }): OutboxEntry | null;
  /** Says something to one person, in the same way. */
  direct(user_id: string, content: string, options?: { reply_to?: number }): OutboxEntry | null;
  /** Puts a message of a former client on the outbox, with the id it had. Returns whether there was room for it. */
  resume(entry: SavedEntry): boolean;
  /** Takes a message off the outbox that is not confirmed yet. It may have been said all the same. */
  discard(id: string): void;
  /**
   * In which measure a message for a room or a person is too long, as the server counts: its `content`, or the whole
   * `message` as it is sent. Null if it is not, and before `welcome`.
   */
  lengthProblem(
    kind: "room" | "person", target: string, content: string,
  ): { what: "content" | "message"; bytes: number; most: number } | null;

  /** Gives a message of ours another text. `of` is its `seq`. `Ack`: it has that text already. */
  edit(target: Target, of: number, content: string): Promise<Edited | Ack>;
  /** Deletes a message. */
  delete(target: Target, of: number): Promise<Deleted>;
  /** Puts a reaction at a message, or takes it back. `Ack`: nothing was to be changed. */
  react(target: Target, of: number, emoji: string, on: boolean): Promise<Reaction | Ack>;
  /** We have read a conversation up to `seq`, on all our devices. The mark only moves forward; 0 takes it away. */
  read(target: Target, seq: number): Promise<Ack>;

  /** A page of messages as they stand. Of a room, only if we are in it. */
  history(target: Target, page?: HistoryPage): Promise<History>;
  /** Messages that have all the words of `text` (1 to 512 bytes); words in quotation marks follow each other. */
  search(text: string, where?: Where): Promise<Found>;
  /** A page of our conversations with people, the latest first. */
  talks(page?: Page): Promise<Conversations>;
  /** The people in a room that we are in. */
  members(room_id: string, page?: Page): Promise<Members>;
  room(room_id: string): Promise<Room>;
  /** With `read`, also rooms that we are not in have `read` and `unread`, if we have read something there. */
  rooms(page?: Page & { read?: boolean }): Promise<Rooms>;
  /** Users who are here, by name. */
  online(page?: Page): Promise<Online>;
  /** Makes a room, without joining it. `name` is a title; both have at most 256 bytes. */
  createRoom(room_id: string, fields?: { name?: string; topic?: string }): Promise<Room>;
  /** Has a room that we are in be about something (256 bytes); about nothing, if empty. `Ack`: it was already. */
  topic(room_id: string, topic: string): Promise<Topic | Ack>;
  /** Has such a room be called by a title (256 bytes); by its `room_id`, if empty. `Ack`: it was already. */
  title(room_id: string, name: string): Promise<Topic | Ack>;

  /**
   * How users are. `subscribe: true` watches `user_ids` (the event `presence`, until the connection ends), `false` ends
   * the watching.
   */
  presence(target: { user_ids: string[] } | { room_id: string }, subscribe?: boolean): Promise<PresenceState>;
  /**
   * Sets our status, and sends it again after a reconnect. `note` has at most 256 bytes. Without a connection it is
   * sent when there is one, and the answer is null.
   */
  status(status: Status, note?: string): Promise<Ack | null>;
  /** Sends that we are typing, or are no longer. There is no answer. */
  typing(target: Target, typing: boolean): void;
  /**
   * Shows another token of the same user, now and at every connection from now on: before `expires_at`, and at the
   * latest when `error` says `token_expired`. One that is refused changes nothing. Null without a connection.
   */
  authenticate(token: string): Promise<Ack | null>;
}

/** A name as the server keeps and sends it: in normal form C. */
export function normalName(name: string): string;
/** What is wrong with a name, a note or a topic, for those who have words of their own for it. */
export type Fault =
  | { code: "empty" | "reserved" | "blank" | "control" | "direction" | "no_text" }
  /** So many characters are too many. */
  | { code: "too_long"; count: number }
  /** A character that nobody sees, as `U+200B`. */
  | { code: "unseen"; character: string };
/** What is wrong with a name for a user or a room, as the server judges it; null if nothing is. */
export function nameFault(written: string): Fault | null;
/** What is wrong with the characters of a name, or of a note beside a status; null if nothing is. */
export function characterFault(text: string): Fault | null;
/** `nameFault` in an English sentence. */
export function nameProblem(written: string): string | null;
/** `characterFault` in an English sentence. */
export function characterProblem(text: string): string | null;
/** Halves of characters, which are no text, become U+FFFD. */
export function wellFormed(text: string): string;
/** A message as it is sent: JSON in well-formed text. */
export function encode(message: object): string;
/** Bytes of a text as UTF-8. */
export function utf8Length(text: string): number;
/** A version 4 UUID. */
export function uuid(): string;
