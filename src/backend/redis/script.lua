-- The one script of a store on Redis (`backend::redis`). What it does is whole or not at all, and nobody sees it half
-- done; so it numbers, remembers, keeps and publishes in one round trip.
--
-- Keys, behind the prefix: m: a conversation (hash: e epoch, n last number, r the run of Redis that began the epoch,
-- a the last entry that is no message, s when something was last said, d c b t o the description of a room, v the
-- number of its last change among all changes of rooms), l: its
-- entries (list, without holes, the last is number n), h: who has said each of them (list, made from the log when
-- unread messages are counted; h of m: is the number that it goes up to), k: marks (hash), u: nodes that use a room
-- (set), i: what was said with a key (5 minutes), t: with whom somebody talks (sorted by when), n: a node that lives,
-- w: its board (hash: who is there, and # its version). Of all: rooms, users, pairs, kept (sorted sets; the last one
-- has rooms by their last entry), nodes (set), bans (hash), nothing (hash: the epoch of two people who have said
-- nothing).

local P, RUN, NODE, OP = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local call = redis.call

local function key(kind, of) return P .. ':' .. kind .. ':' .. of end

local function tell(...)
  call('PUBLISH', P .. ':news', table.concat({...}, '\n'))
end

-- Says something to one node. False: it is no more.
local function tell_node(node, word)
  return call('PUBLISH', P .. ':to:' .. node, word) > 0 or call('EXISTS', key('n', node)) == 1
end

-- The same to the nodes that follow a room.
local function tell_room(conv, word)
  local followers = key('u', conv)
  for _, node in ipairs(call('SMEMBERS', followers)) do
    if not tell_node(node, word) then call('SREM', followers, node) end
  end
end

-- The same to the nodes that one of two users is on.
local function tell_users(one, other, word)
  for _, node in ipairs(call('SMEMBERS', P .. ':nodes')) do
    local board = key('w', node)
    if call('HEXISTS', board, 'u:' .. one) == 1 or one ~= other and call('HEXISTS', board, 'u:' .. other) == 1 then
      tell_node(node, word)
    end
  end
end

local function number(n) return string.format('%.0f', n) end

-- Of a pair: the two names.
local function two(conv) return string.match(conv, '^d:(.-)%z(.*)$') end

local function room(conv) return string.match(conv, '^r:(.*)$') end

-- The epoch of two people who have said nothing.
local function nothing(new)
  local found = call('HMGET', P .. ':nothing', 'e', 'r')
  if found[1] and found[2] == RUN then return found[1] end
  call('HSET', P .. ':nothing', 'e', new, 'r', RUN)
  return new
end

-- A user is known. `moved`: who has come or gone is forgotten behind the others.
local function know(user, people, moved)
  local known = call('ZSCORE', P .. ':users', user)
  if known and not moved then return end
  call('ZADD', P .. ':users', call('INCR', P .. ':order'), user)
  if known then return end
  if call('ZCARD', P .. ':users') > people then call('ZPOPMIN', P .. ':users') end
  tell('U', NODE, user)
end

-- Ends the life of a conversation.
local function finish(conv)
  call('DEL', key('m', conv), key('l', conv), key('h', conv), key('k', conv), key('u', conv))
  local name = room(conv)
  if name then
    call('ZREM', P .. ':rooms', name)
    call('ZREM', P .. ':kept', conv)
  else
    local one, other = two(conv)
    call('ZREM', P .. ':pairs', conv)
    call('ZREM', key('t', one), other)
    call('ZREM', key('t', other), one)
  end
  tell('X', NODE, conv)
end

-- Begins one. Of too many pairs, the one that was silent longest ends.
local function begin(conv, epoch, people, most_pairs)
  local name = room(conv)
  if name then
    call('ZADD', P .. ':rooms', call('INCR', P .. ':order'), name)
  else
    epoch = nothing(epoch)
    if call('ZCARD', P .. ':pairs') >= most_pairs then
      local oldest = call('ZRANGE', P .. ':pairs', 0, 0)
      finish(oldest[1])
      call('DEL', P .. ':nothing')
    end
    local one, other = two(conv)
    know(one, people)
    if other ~= one then know(other, people) end
  end
  call('HSET', key('m', conv), 'e', epoch, 'n', 0, 'r', RUN)
  return epoch, 0
end

-- The epoch and the last number; nothing if it does not live. Where Redis knows less than the caller, or is another run
-- than the one that began the epoch, numbers may have been lost that were told: another epoch begins.
local function look(conv, new, known, head)
  local found = call('HMGET', key('m', conv), 'e', 'n', 'r')
  if not found[1] then return end
  local epoch, n = found[1], tonumber(found[2])
  if found[3] ~= RUN or (epoch == known and n < head) then
    epoch = new
    call('HSET', key('m', conv), 'e', epoch, 'r', RUN)
  end
  return epoch, n
end

-- The node uses a room.
local function use(conv)
  if room(conv) then call('SADD', key('u', conv), NODE) end
end

-- Notes what a room is; the first description stands, and one who brings another hears of it. `about`: where in ARGV.
local function describe(conv, about)
  if ARGV[about] ~= '1' then return false end
  local meta = key('m', conv)
  local keeps = call('EXISTS', key('l', conv))
  local mine = {ARGV[about + 1], ARGV[about + 2], ARGV[about + 3], ARGV[about + 4]}
  if call('HSETNX', meta, 'd', 1) == 1 then
    local change = call('INCR', P .. ':changes')
    call('HSET', meta, 'c', mine[1], 'b', mine[2], 't', mine[3], 'o', mine[4], 'v', change)
    tell('R', NODE, room(conv), keeps, mine[1], mine[2], mine[3], mine[4], change)
    return false
  end
  local found = call('HMGET', meta, 'c', 'b', 't', 'o', 'v')
  if found[1] == mine[1] and found[2] == mine[2] and found[3] == mine[3] and found[4] == mine[4] then return false end
  return {keeps, found[1], found[2], found[3], found[4], found[5] or '0'}
end

-- Entries from a number on, up to `most` and 512 KiB, and how many numbers are left behind them.
local function entries(conv, from, n, most)
  local log = key('l', conv)
  local first = n - call('LLEN', log) + 1
  if from < first then from = first end
  local found, bytes, at = {}, 0, from
  while at <= n and #found < most and bytes < 524288 do
    local piece = call('LRANGE', log, at - first, math.min(at + 31, n, at + most - #found - 1) - first)
    for _, record in ipairs(piece) do
      found[#found + 1] = record
      bytes = bytes + #record
    end
    at = at + #piece
    if #piece == 0 then break end
  end
  return from, found, n - at + 1
end

-- Forgets entries at the front of a log that are too old, up to 256. How many are left.
local function age_out(log, young)
  local len, gone = call('LLEN', log), 0
  while gone < 256 and len > 0 do
    local front = call('LINDEX', log, 0)
    if tonumber(string.match(front, '^.(%d+)')) >= young then break end
    call('LPOP', log)
    len, gone = len - 1, gone + 1
  end
  return len
end

-- The number of the first of the newest so many messages; of more than 4,096 entries, those are looked at alone.
local function first_of_newest(conv, n, floor, most)
  local at = n
  while most > 0 and at >= floor and n - at < 4096 do
    local from = math.max(floor, at - 31)
    local piece = call('LRANGE', key('l', conv), from - floor, at - floor)
    for place = #piece, 1, -1 do
      if string.find(piece[place], '^[MVG]') then most = most - 1 end
      if most == 0 then return from + place - 1 end
    end
    at = from - 1
  end
  return at + 1
end

-- Has the list of who has said what go further with the log, by up to `most` entries: of a message `=` and its sender,
-- of a deleted one `-`, of other entries nothing. What is deleted is so by an entry behind it, whichever node has
-- written that. Returns the number that the list goes up to, and that of its first entry.
local function note_senders(conv, n, most, age)
  local log, senders, meta = key('l', conv), key('h', conv), key('m', conv)
  local first = n - call('LLEN', log) + 1
  local last, len = tonumber(call('HGET', meta, 'h') or '0'), call('LLEN', senders)
  if last > n or last < first - 1 or last - len + 1 > first then
    call('DEL', senders)
    last, len = first - 1, 0
  elseif last - len + 1 < first then
    call('LTRIM', senders, first - (last - len + 1), -1)
    len = last - first + 1
  end
  if last < n then
    local _, found = entries(conv, last + 1, n, most)
    local new = {}
    for at, record in ipairs(found) do
      local kind, of, sender = string.match(record, '^(.)%d+ %+?(%d+) ([^\n]*)')
      new[at] = (kind == 'M' or kind == 'V') and '=' .. sender or kind == 'G' and '-' or ''
      local place = kind == 'D' and tonumber(of) - first or -1
      if place >= len and place < len + at then
        new[place - len + 1] = '-'
      elseif place >= 0 and place < len then
        call('LSET', senders, place, '-')
      end
    end
    if #new > 0 then call('RPUSH', senders, unpack(new)) end
    if age ~= '' then call('PEXPIRE', senders, age) end
    last = last + #new
    call('HSET', meta, 'h', number(last))
  end
  return last, first
end

-- Of the newest `looked` messages up to a number, how many that others have said stand behind what a user has read, up
-- to `most`.
local function count_unread(conv, user, mark, to, first, most, looked)
  local senders, own, count, at = key('h', conv), '=' .. user, 0, to
  local stop = math.max(mark + 1, first)
  while at >= stop do
    local from = math.max(stop, at - 255)
    local piece = call('LRANGE', senders, from - first, at - first)
    for place = #piece, 1, -1 do
      local sender = piece[place]
      if sender ~= '' then
        looked = looked - 1
        if sender ~= '-' and sender ~= own then count = count + 1 end
        if count == most or looked == 0 then return count end
      end
    end
    at = from - 1
  end
  return count
end

local OPS = {}

-- conv, new epoch, known epoch, head that is known, how many entries of the node may have gone out before it (not all
-- of them have come to something: a retry has not), entries kept, their age in ms, the time from which on they are
-- young enough, key of a retry, record, kind, judged by what was known up to `head`, the oldest entry it needs, people,
-- pairs, how many to be replaced; for each number and record; description.
function OPS.append()
  local conv, new, known, head = ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])
  local ahead = tonumber(ARGV[9])
  local most, age, young = tonumber(ARGV[10]), ARGV[11], tonumber(ARGV[12])
  local retry, record, ts, kind = ARGV[13], ARGV[14], ARGV[15], ARGV[16]
  local judged, oldest, people, pairs_most = ARGV[17] == '1', tonumber(ARGV[18]), tonumber(ARGV[19]), tonumber(ARGV[20])
  local replaced = tonumber(ARGV[21])
  local same
  if retry ~= '' then
    same = key('i', conv .. ':' .. retry)
    local said = call('GET', same)
    if said then return {'R', said} end
  end
  local epoch, n = look(conv, new, known, head)
  if not epoch then
    if judged then return {'S'} end
    epoch, n = begin(conv, new, people, pairs_most)
  end
  local meta, log = key('m', conv), key('l', conv)
  local len = call('LLEN', log)
  if judged then
    local acted = tonumber(call('HGET', meta, 'a') or '0')
    if epoch ~= known or acted > head or oldest < n - len + 1 then return {'S'} end
  end
  use(conv)
  local other = describe(conv, 22 + 2 * replaced)
  local from, missed, left = n + 1, {}, 0
  if epoch == known and head >= 0 and head + ahead < n then
    from, missed, left = entries(conv, head + ahead + 1, n, 64)
  end
  if most > 0 then
    for at = 22, 20 + 2 * replaced, 2 do
      local place = tonumber(ARGV[at]) - (n - len + 1)
      if place >= 0 and place < len then call('LSET', log, place, ARGV[at + 1]) end
    end
    len = age_out(log, young)
    call('RPUSH', log, record)
    if room(conv) then
      call('ZADD', P .. ':kept', 'GT', ts, conv)
      if len == 0 then
        local card = call('HMGET', meta, 'c', 'b', 't', 'o', 'v')
        local word = table.concat({'R', NODE, room(conv), 1, card[1] or ts, card[2] or '0', card[3] or '',
          card[4] or '', card[5] or '0'}, '\n')
        for _, node in ipairs(call('SMEMBERS', P .. ':nodes')) do
          if call('SISMEMBER', key('u', conv), node) == 0 then tell_node(node, word) end
        end
      end
    end
    if len + 1 > most then call('LTRIM', log, -most, -1) end
    if age ~= '' then call('PEXPIRE', log, age) end
  end
  n = n + 1
  call('HSET', meta, 'n', number(n))
  if kind ~= 'M' then call('HSET', meta, 'a', number(n)) end
  local one, two_ = two(conv)
  if one then
    if kind == 'M' then
      local said = call('INCR', P .. ':said')
      call('ZADD', key('t', one), said, two_)
      call('ZADD', key('t', two_), said, one)
    end
    call('ZADD', P .. ':pairs', 'GT', most > 0 and ts or 0, conv)
  end
  if kind == 'M' then call('HSET', meta, 's', ts) end
  if same then call('SET', same, number(n) .. ' ' .. ts, 'PX', 300000) end
  local word = table.concat({'E', NODE, conv, epoch, number(n), record}, '\n')
  if one then tell_users(one, two_, word) else tell_room(conv, word) end
  return {'P', epoch, n, from, missed, left, other}
end

-- conv, key of a retry
function OPS.recall()
  return call('GET', key('i', ARGV[5] .. ':' .. ARGV[6]))
end

-- conv, new epoch, known epoch, head that is known, the first number that the asker lacks behind what it has (0: it has
-- nothing, and lacks nothing), the oldest that it has, the first number that is wanted, the epoch for which that is so,
-- how many of the newest messages are wanted otherwise, whether it is begun, the time from which on entries are young
-- enough, their age in ms; whose mark, up to which number unread messages are counted, how many are looked at for that;
-- people, pairs; description.
--
-- Returns what the asker lacks of what is wanted, and always what is behind what it has. Unread messages are -1 where
-- the asker can count them by what it then has, or is to ask for them (`unread`).
function OPS.pull()
  local conv, new, known, head = ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])
  local lacks, has, wanted = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
  local life, newest, begins = ARGV[12], tonumber(ARGV[13]), ARGV[14] == '1'
  local young, age, user = tonumber(ARGV[15]), ARGV[16], ARGV[17]
  local most, looked = tonumber(ARGV[18]), tonumber(ARGV[19])
  local epoch, n = look(conv, new, known, head)
  if not epoch then
    if not begins then return {'N', nothing(new)} end
    epoch, n = begin(conv, new, tonumber(ARGV[20]), tonumber(ARGV[21]))
  end
  if begins then use(conv) end
  local other = describe(conv, 22)
  local floor = n - age_out(key('l', conv), young) + 1
  if epoch ~= known or lacks == 0 then lacks, has = n + 1, n + 1 end
  if wanted > n + 1 or life ~= '' and life ~= epoch then
    wanted = newest > 0 and first_of_newest(conv, n, floor, newest) or n + 1
  end
  local from = math.min(lacks, n + 1)
  if wanted < has and floor < has then
    from = math.min(from, wanted)
    has = from
  end
  local mark = tonumber(user ~= '' and call('HGET', key('k', conv), user) or '0')
  local unread = -1
  if user ~= '' and (mark >= n or floor > n) then
    unread = 0
  elseif user ~= '' and mark + 1 < has and floor < has then
    local last, first = note_senders(conv, n, 256, age)
    if last == n then unread = count_unread(conv, user, mark, n, first, most, looked) end
  end
  local first, found, left = entries(conv, from, n, 256)
  local said = call('HGET', key('m', conv), 's') or '0'
  return {'H', epoch, n, first, found, left, mark, other, said, floor, unread}
end

-- conv, epoch, user, up to which number they have read, and up to which one it is counted; up to which number unread
-- messages are counted, how many are looked at for that, age in ms. -1: asked once more it is known, or nearer to that.
function OPS.unread()
  local conv = ARGV[5]
  local found = call('HMGET', key('m', conv), 'e', 'n')
  if found[1] ~= ARGV[6] then return 0 end
  local n = tonumber(found[2])
  local to = math.min(tonumber(ARGV[9]), n)
  local last, first = note_senders(conv, n, 1024, ARGV[12])
  if last < to then return -1 end
  return count_unread(conv, ARGV[7], tonumber(ARGV[8]), to, first, tonumber(ARGV[10]), tonumber(ARGV[11]))
end

-- conv, user, number, marks that there may be. A mark does not move back, but 0 takes it away; -1: nothing changes.
function OPS.mark()
  local conv, user, seq = ARGV[5], ARGV[6], tonumber(ARGV[7])
  local n = tonumber(call('HGET', key('m', conv), 'n') or '0')
  if seq > n then seq = n end
  local marks = key('k', conv)
  local before = call('HGET', marks, user)
  if seq == 0 and before then
    call('HDEL', marks, user)
  elseif seq > tonumber(before or '0') then
    if not before and call('HLEN', marks) >= tonumber(ARGV[8]) then call('HDEL', marks, call('HRANDFIELD', marks)) end
    call('HSET', marks, user, number(seq))
  else
    return -1
  end
  tell_users(user, user, table.concat({'K', NODE, conv, user, number(seq)}, '\n'))
  return seq
end

-- conv, new epoch, known epoch, head that is known, who, the new title and the new topic (`+` alone takes it away, and
-- nothing leaves it as it is); description. Returns the number of the change, the title and the topic; nothing: nothing
-- changes.
function OPS.topic()
  local conv, meta = ARGV[5], key('m', ARGV[5])
  if not look(conv, ARGV[6], ARGV[7], tonumber(ARGV[8])) then begin(conv, ARGV[6], 0, 0) end
  use(conv)
  describe(conv, 12)
  local before = call('HMGET', meta, 't', 'o')
  local function anew(given, stands)
    if given == '' then return stands or '' end
    return given == '+' and '' or given
  end
  local title, topic = anew(ARGV[10], before[1]), anew(ARGV[11], before[2])
  if title == (before[1] or '') and topic == (before[2] or '') then return {} end
  local change = call('INCR', P .. ':changes')
  call('HSET', meta, 't', title, 'o', topic, 'v', change)
  -- A node of before takes no notice of the title.
  tell('O', NODE, room(conv), change, ARGV[9], topic, title == '' and '-' or title)
  return {change, title, topic}
end

-- user, from when on, how many
function OPS.talks()
  local before = ARGV[6]
  if before == '' then
    before = '+inf'
  else
    if tonumber(before) > tonumber(call('GET', P .. ':said') or '0') then return false end
    before = '(' .. before
  end
  return call('ZREVRANGEBYSCORE', key('t', ARGV[5]), before, '-inf', 'WITHSCORES', 'LIMIT', 0, ARGV[7])
end

-- user, people
function OPS.know()
  know(ARGV[5], tonumber(ARGV[6]), true)
end

-- user, until when, note, bans that there may be
function OPS.ban()
  local bans = P .. ':bans'
  if call('HEXISTS', bans, ARGV[5]) == 0 and call('HLEN', bans) >= tonumber(ARGV[8]) then return 0 end
  call('HSET', bans, ARGV[5], ARGV[6] .. '\n' .. ARGV[7])
  tell('B', NODE, ARGV[5], ARGV[6], ARGV[7])
  return 1
end

-- user
function OPS.unban()
  if call('HDEL', P .. ':bans', ARGV[5]) == 1 then tell('b', NODE, ARGV[5]) end
  return 1
end

-- conv, whether its entries go too. While other nodes use the room, it stays.
function OPS.release()
  local conv = ARGV[5]
  local users = key('u', conv)
  call('SREM', users, NODE)
  for _, node in ipairs(call('SMEMBERS', users)) do
    if call('EXISTS', key('n', node)) == 1 then return 0 end
    call('SREM', users, node)
  end
  if call('EXISTS', key('m', conv)) == 0 then return 0 end
  if ARGV[6] ~= '1' and call('EXISTS', key('l', conv)) == 1 then return 0 end
  finish(conv)
  return 1
end

-- new epoch, the time from which on entries are young enough. Pairs of whom nothing is kept end, and rooms whose last
-- entry is too old are empty. Returns how many others there are, the pairs, and the rooms.
function OPS.sweep()
  local old = {}
  if ARGV[6] ~= '' then old = call('ZRANGEBYSCORE', P .. ':pairs', '-inf', ARGV[6], 'LIMIT', 0, 64) end
  for _, conv in ipairs(old) do finish(conv) end
  if #old > 0 then call('HSET', P .. ':nothing', 'e', ARGV[5], 'r', RUN) end
  local emptied = {}
  if ARGV[6] ~= '' then
    for _, conv in ipairs(call('ZRANGEBYSCORE', P .. ':kept', '-inf', ARGV[6], 'LIMIT', 0, 64)) do
      call('ZREM', P .. ':kept', conv)
      call('DEL', key('l', conv), key('h', conv))
      emptied[#emptied + 1] = room(conv)
      tell('V', NODE, room(conv))
    end
  end
  return {call('ZCARD', P .. ':pairs') + call('ZCARD', P .. ':kept'), old, emptied}
end

-- new epoch; for each conversation itself, the epoch and the head that are known. Returns the places of those of which
-- Redis has more, and of those that live no more or go on in another epoch, as negative numbers.
function OPS.heads()
  local differ = {}
  for at = 6, #ARGV, 3 do
    local place = (at - 6) / 3 + 1
    local epoch, n = look(ARGV[at], ARGV[5], ARGV[at + 1], tonumber(ARGV[at + 2]))
    if epoch ~= ARGV[at + 1] then
      differ[#differ + 1] = -place
    elseif n > tonumber(ARGV[at + 2]) then
      differ[#differ + 1] = place
    end
  end
  return differ
end

-- The place behind the last one that was told, how many: rooms in the order in which they began.
function OPS.rooms()
  local found = call('ZRANGEBYSCORE', P .. ':rooms', '(' .. ARGV[5], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[6])
  local all = {}
  for at = 1, #found, 2 do
    local conv = 'r:' .. found[at]
    local about = call('HMGET', key('m', conv), 'c', 'b', 't', 'o', 'v')
    local front = call('LINDEX', key('l', conv), 0)
    local ts = front and string.match(front, '^.(%d+)') or '0'
    all[#all + 1] = {found[at + 1], found[at], front and 1 or 0, about[1] or ts, about[2] or '0', about[3] or '',
      about[4] or '', about[5] or '0'}
  end
  return all
end

-- The same of people.
function OPS.users()
  return call('ZRANGEBYSCORE', P .. ':users', '(' .. ARGV[5], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[6])
end

-- For whom, their name, the word. It is neither numbered nor kept.
function OPS.tell()
  local word = table.concat({'W', NODE, ARGV[5], ARGV[6], ARGV[7]}, '\n')
  if ARGV[5] == 'r' then
    tell_room('r:' .. ARGV[6], word)
  elseif ARGV[5] == 'u' then
    tell_users(ARGV[6], ARGV[6], word)
  else
    call('PUBLISH', P .. ':news', word)
  end
end

-- conv. The node hears it no longer.
function OPS.unfollow()
  return call('SREM', key('u', ARGV[5]), NODE)
end

-- Tries all commands of this script, as they are used, on keys of its own. Returns those that the user may not use.
function OPS.probe()
  local refused = {}
  local function try(name, ...)
    local answer = redis.pcall(name, ...)
    local why = type(answer) == 'table' and answer.err or ''
    if string.find(why, "executing the script can't", 1, true) then
      local what = string.find(why, 'key', 1, true) and 'keys' or string.find(why, 'channel', 1, true) and 'channels'
      refused[#refused + 1] = what or name
    end
  end
  local hash, set, sorted, text = key('probe', 'h'), key('probe', 's'), key('probe', 'z'), key('probe', 't')
  local log = key('probe', 'l')
  try('DEL', hash, set, sorted, text, log)
  try('HSET', hash, 'a', 1)
  try('HSETNX', hash, 'b', 1)
  for _, name in ipairs({'HGET', 'HEXISTS', 'HMGET', 'HDEL'}) do try(name, hash, 'b') end
  for _, name in ipairs({'HLEN', 'HRANDFIELD', 'EXISTS'}) do try(name, hash) end
  for _, name in ipairs({'SADD', 'SISMEMBER', 'SREM'}) do try(name, set, 'a') end
  try('SMEMBERS', set)
  for _, name in ipairs({'ZADD', 'ZRANGEBYSCORE', 'ZREVRANGEBYSCORE', 'ZRANGE'}) do try(name, sorted, 1, 2) end
  for _, name in ipairs({'ZSCORE', 'ZREM'}) do try(name, sorted, '2') end
  for _, name in ipairs({'ZCARD', 'ZPOPMIN'}) do try(name, sorted) end
  for _, name in ipairs({'SET', 'PEXPIRE'}) do try(name, text, 1) end
  for _, name in ipairs({'GET', 'INCR'}) do try(name, text) end
  try('RPUSH', log, 1)
  try('LSET', log, 0, 1)
  for _, name in ipairs({'LRANGE', 'LTRIM'}) do try(name, log, 0, 0) end
  try('LINDEX', log, 0)
  for _, name in ipairs({'LLEN', 'LPOP'}) do try(name, log) end
  try('PUBLISH', P .. ':probe', '')
  try('DEL', hash, set, sorted, text, log)
  return refused
end

-- The version of the node's board, its lease; for each line that has changed its name and `+` with what stands there,
-- or `-`. 0: the lease has ended, and the board is to be written anew.
function OPS.post()
  local board = key('w', NODE)
  if call('EXISTS', key('n', NODE)) == 0 then return 0 end
  for at = 7, #ARGV, 2 do
    if string.sub(ARGV[at + 1], 1, 1) == '+' then
      call('HSET', board, ARGV[at], string.sub(ARGV[at + 1], 2))
    else
      call('HDEL', board, ARGV[at])
    end
  end
  call('HSET', board, '#', ARGV[5])
  call('PEXPIRE', board, ARGV[6])
  tell('P', NODE, ARGV[5], unpack(ARGV, 7))
  return 1
end

-- A piece of the node's board, written anew: whether it is the first, the version if it is the last, the lease; for
-- each line its name and what stands there.
function OPS.board()
  local board = key('w', NODE)
  if ARGV[5] == '1' then call('DEL', board) end
  for at = 8, #ARGV, 2 do call('HSET', board, ARGV[at], ARGV[at + 1]) end
  if ARGV[6] ~= '' then
    call('HSET', board, '#', ARGV[6])
    tell('P', NODE, ARGV[6])
  end
  call('PEXPIRE', board, ARGV[7])
  call('SET', key('n', NODE), 1, 'PX', ARGV[7])
  call('SADD', P .. ':nodes', NODE)
  return 1
end

-- How long the node counts as one that lives. It hears its own word, if it hears at all. Returns the version of its
-- board, or -1 if its lease had ended; and for each other node that lives its name and the version of its board.
function OPS.beat()
  local mine = key('n', NODE)
  local version = call('EXISTS', mine) == 1 and call('HGET', key('w', NODE), '#') or '-1'
  call('SET', mine, 1, 'PX', ARGV[5])
  call('PEXPIRE', key('w', NODE), ARGV[5])
  call('SADD', P .. ':nodes', NODE)
  local found = {version}
  for _, node in ipairs(call('SMEMBERS', P .. ':nodes')) do
    if node == NODE then
      -- It is this one.
    elseif call('EXISTS', key('n', node)) == 1 then
      found[#found + 1] = node
      found[#found + 1] = call('HGET', key('w', node), '#') or '0'
    else
      call('SREM', P .. ':nodes', node)
    end
  end
  tell('T', NODE)
  return found
end

return OPS[OP]()
