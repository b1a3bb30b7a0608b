"""Heaps of rows, the one whose key is least on top; of equal keys the row that is before."""

from collections.abc import Sequence


def comes_before(keys: Sequence[int], a: int, b: int) -> bool:
    """Return whether of two rows `a` is nearer to the top."""
    return keys[a] < keys[b] or (keys[a] == keys[b] and a < b)


def push(keys: Sequence[int], heap: list[int], size: int, row: int) -> int:
    """Add a row; return how many there are."""
    k = size
    heap[k] = row
    while k > 0 and comes_before(keys, heap[k], heap[(k - 1) // 2]):
        up = (k - 1) // 2
        heap[k], heap[up] = heap[up], heap[k]
        k = up
    return size + 1


def pop(keys: Sequence[int], heap: list[int], size: int) -> int:
    """Take away the row on top; return how many there are left."""
    size -= 1
    heap[0] = heap[size]
    k = 0
    while 2 * k + 1 < size:
        down = 2 * k + 1
        if down + 1 < size and comes_before(keys, heap[down + 1], heap[down]):
            down += 1
        if not comes_before(keys, heap[down], heap[k]):
            break
        heap[k], heap[down] = heap[down], heap[k]
        k = down
    return size
