#!/usr/bin/env python3
"""How a store on disk does with much in it: start, memory, joins, pages of history, searches.

  python3 benches/store.py --messages 10000000 --rooms 10000

Makes lines of about 250 bytes in words as frequent as those of a language, imports them, waits until the search index
has caught up, and asks a server one thing at a time over one connection. `cold`: the kernel was told to forget the
file first. Needs the package `websockets`; asks 127.0.0.1 alone. The folder (--folder, 350 bytes a message) stays, and
is used again if it has as many messages.
"""
import argparse
import asyncio
import itertools
import json
import os
import random
import sqlite3
import subprocess
import sys
import time

import websockets


def lines(messages, rooms):
    """Lines for `salon store import`: rooms first, then one message for each room in turn."""
    chance = random.Random(7)
    syllables = [a + b for a in 'bcdfghjklmnprstvz' for b in ('a', 'e', 'i', 'o', 'u', 'an', 'or', 'el')]
    words = {''.join(chance.choice(syllables) for _ in range(chance.choice((1, 2, 2, 3, 3, 4)))) for _ in range(60000)}
    words = sorted(words, key=lambda word: hash_of(word))
    weights = list(itertools.accumulate(1 / (place + 2) for place in range(len(words))))
    phrases = [' '.join(chance.choices(words, cum_weights=weights, k=5)) for _ in range(400_000)]
    pick, began = chance.choice, 1_795_900_000_000 - messages * 20
    for room in range(rooms):
        last = (messages - 1 - room) // rooms + 1
        yield json.dumps({'kind': 'room', 'room_id': f'room-{room}', 'created_at': began,
                          'epoch': f'cb9ad41bed{room:06x}', 'seq': last, 'oldest': 1, 'last_message': last}) + '\n'
    for n in range(messages):
        yield ('{"kind":"message","room_id":"room-%d","seq":%d,"ts":%d,"sender":"u%d","content":"%s %s %s %s %s %s m%d"}\n'
               % (n % rooms, n // rooms + 1, began + n * 20, n % 997, pick(phrases), pick(phrases), pick(phrases),
                  pick(phrases), pick(phrases), pick(phrases), n))


def hash_of(word):
    """An order that is the same in each run."""
    return sum(ord(letter) * 31 ** place for place, letter in enumerate(word)) % 1_000_003


def forget(path):
    """Has the kernel forget what it holds of the file."""
    for name in (path, path + '-wal'):
        if os.path.exists(name):
            descriptor = os.open(name, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def say(what, seconds):
    """A line of a table: milliseconds."""
    seconds = sorted(seconds)
    at = [seconds[min(len(seconds) - 1, int(len(seconds) * part))] * 1000 for part in (.5, .9, .99)]
    print(f'{what:32} p50 {at[0]:8.2f}  p90 {at[1]:8.2f}  p99 {at[2]:8.2f}  longest {seconds[-1] * 1000:8.2f} ms')


class Server:
    """A server on the file, and one connection to it."""

    def __init__(self, salon, path):
        self.salon, self.path = salon, path

    async def __aenter__(self):
        self.began = time.perf_counter()
        command = [self.salon, 'serve', '--listen', '127.0.0.1:8095', '--admin', 'off', '--rate', 'off',
                   '--log', 'warn', '--store', self.path]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while True:
            try:
                self.socket = await websockets.connect('ws://127.0.0.1:8095/ws?user=u3', compression=None, max_size=None)
                break
            except OSError:
                if self.process.poll() is not None:
                    sys.exit('the server has ended; start it by hand to see why')
                await asyncio.sleep(.002)
        await self.socket.recv()
        self.welcome = time.perf_counter() - self.began
        return self

    async def __aexit__(self, *_):
        await self.socket.close()
        self.process.terminate()
        self.process.wait()

    def resident(self):
        with open(f'/proc/{self.process.pid}/status') as status:
            return ', '.join(f'{line.split(":")[0]} {int(line.split()[1]) >> 10} MiB' for line in status
                             if line.startswith(('VmRSS', 'RssAnon')))

    async def ask(self, kind, **request):
        """The answer of a kind, and how long it took."""
        began = time.perf_counter()
        await self.socket.send(json.dumps(request))
        while True:
            answer = json.loads(await self.socket.recv())
            if answer['type'] == 'error':
                sys.exit(f'{request}: {answer}')
            if answer['type'] == kind:
                return time.perf_counter() - began, answer


async def caught_up(salon, path):
    """Runs a server until its index has all that it takes in together."""
    async with Server(salon, path):
        while True:
            with sqlite3.connect(f'file:{path}?mode=ro', uri=True) as file:
                last, indexed = file.execute('SELECT last, indexed FROM store').fetchone()
            if last - indexed < 1024:
                return
            print(f'\rthe index has {indexed:,} of {last:,} ', end='', file=sys.stderr, flush=True)
            await asyncio.sleep(1)


async def measure(salon, path, rooms, frequent):
    chance = random.Random(3)
    forget(path)
    async with Server(salon, path) as server:
        print(f'start to the first welcome, cold: {server.welcome * 1000:.0f} ms; {server.resident()}')
        joins, pages = [], []
        for _ in range(300):
            room = f'room-{chance.randrange(rooms)}'
            joins.append((await server.ask('joined', type='join', room_id=room))[0])
            took, page = await server.ask('history', type='history', room_id=room, before=chance.randrange(60, 900),
                                          limit=50)
            assert len(page['items']) == 50
            pages.append(took)
            await server.ask('left', type='leave', room_id=room)
        say('join, cold', joins)
        say('50 messages of history, cold', pages)
        print(server.resident())
    async with Server(salon, path) as server:
        mine = [f'room-{room}' for room in chance.sample(range(rooms), 100)]
        for room in mine:
            await server.ask('joined', type='join', room_id=room)
        for what, request in (
            ('search: a frequent word', lambda: {'text': chance.choice(frequent[:50])}),
            ('search: any word', lambda: {'text': chance.choice(frequent)}),
            ('search: two words', lambda: {'text': ' '.join(chance.sample(frequent[:300], 2))}),
            ('search: a phrase', lambda: {'text': f'"{" ".join(chance.sample(frequent[:100], 2))}"'}),
            ('search: a word, one room', lambda: {'text': chance.choice(frequent), 'room_id': chance.choice(mine)}),
            ('search: a word, one sender', lambda: {'text': chance.choice(frequent),
                                                    'sender': f'u{chance.randrange(900)}'}),
        ):
            say(what, [(await server.ask('found', type='search', **request()))[0] for _ in range(200)])
        print(server.resident())


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument('--salon', default='target/release/salon')
    options.add_argument('--folder', default='target/bench-store')
    options.add_argument('--messages', type=int, default=1_000_000)
    options.add_argument('--rooms', type=int, default=1000, help='not more than a thousandth of the messages')
    options = options.parse_args()
    path = os.path.join(options.folder, f'{options.messages}-{options.rooms}.db')
    if not os.path.exists(path):
        os.makedirs(options.folder, exist_ok=True)
        began = time.perf_counter()
        importing = subprocess.Popen([options.salon, 'store', 'import', '--store', path], stdin=subprocess.PIPE, text=True)
        with importing.stdin as into:
            into.writelines(lines(options.messages, options.rooms))
        if importing.wait() != 0:
            sys.exit(1)
        print(f'import: {options.messages / (time.perf_counter() - began):,.0f} messages a second')
    asyncio.run(caught_up(options.salon, path))
    print(f'file: {os.path.getsize(path) / options.messages:.0f} bytes a message, with the index')
    with sqlite3.connect(f'file:{path}?mode=ro', uri=True) as file:
        frequent = [word for word, in file.execute(
            'SELECT word FROM (SELECT word, sum(length(entries)) AS n FROM word WHERE word < char(0xe000) '
            'GROUP BY word ORDER BY n DESC LIMIT 2000)')]
    asyncio.run(measure(options.salon, path, options.rooms, frequent))


if __name__ == '__main__':
    main()
