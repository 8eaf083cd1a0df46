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


def damaged(content: bytes, seed: int) -> bytes:
    """The content damaged in one of the ways, each in its turn."""
    return WAYS[seed % len(WAYS)](content, random.Random(seed))
