"""Damage of the kinds that files come to: the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable


def cut_short(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def flip_bits(content: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(chance.choice([1, 3, 20])):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def flip_bits_in_the_head(content: bytes, chance: random.Random) -> bytes:
    return flip_bits(content[:64], chance) + content[64:]


def overwrite(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content))
    return content[:start] + chance.randbytes(chance.randint(1, 64)) + content[start + 64 :]


def repeat_a_part(content: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.randrange(len(content)) for _ in range(2))
    return content[:end] + content[start:end] * 2 + content[end:]


def set_a_number(content: bytes, chance: random.Random) -> bytes:
    """An extreme number where one may stand, in either order of bytes."""
    number = chance.choice([0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 10**6])
    start = chance.randrange(len(content))
    return content[:start] + number.to_bytes(4, chance.choice(["little", "big"])) + content[start + 4 :]


def make_noise(content: bytes, chance: random.Random) -> bytes:
    return chance.randbytes(chance.choice([0, 1, 7, 300]))


WAYS: list[Callable[[bytes, random.Random], bytes]] = [
    cut_short, flip_bits, flip_bits_in_the_head, overwrite, repeat_a_part, set_a_number, make_noise,
]  # fmt: skip


def insert(what: bytes, content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content) + 1)
    return content[:start] + what + content[start:]


def insert_a_long_field(content: bytes, chance: random.Random) -> bytes:
    return insert(b"x" * 200_000, content, chance)


def lengthen_a_number(content: bytes, chance: random.Random) -> bytes:
    """A number of more digits than Python reads, or than a float holds."""
    digits = [start for start in range(len(content)) if content[start : start + 1].isdigit()] or [0]
    start = chance.choice(digits)
    return content[:start] + b"7" * chance.choice([5000, 400, 20]) + content[start:]


def nest_deeply(content: bytes, chance: random.Random) -> bytes:
    return insert(chance.choice([b"[", b'{"a":']) * chance.choice([900, 100_000]), content, chance)


ODD = (b"[/red]", b"[bold]", b"\\ud800", "\ud800".encode(errors="surrogatepass"), b"\0", b"\x1b[31m", b"\xff", b'"',
       b"\r", b"../", "\u2028".encode(), b"$\\frac", b"-", b"1e400", b"NaN", b"null")  # fmt: skip


def insert_something_odd(content: bytes, chance: random.Random) -> bytes:
    return insert(chance.choice(ODD), content, chance)


TEXT_WAYS = [*WAYS, insert_a_long_field, lengthen_a_number, nest_deeply, insert_something_odd, insert_something_odd]
"""Of files that hold text."""


def damaged(content: bytes, seed: int, ways: list[Callable[[bytes, random.Random], bytes]] = WAYS) -> bytes:
    """The content damaged in one of the ways, each in its turn."""
    return ways[seed % len(ways)](content, random.Random(seed))
