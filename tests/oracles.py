"""Slow and obviously right answers in plain numpy, written without a look at the library."""

import numpy as np


def window_members(size, pool_size, strides, padding):
    """For every window, in row-major order, its members that lie in the map, in row-major order.

    Returns `(rows of windows, columns of windows, members)`; `members[window]` lists `(row, column, code)`, where the
    code counts the places of the window from its first corner, those outside the map included.
    """
    counts, starts = [], []
    for n, p, s in zip(size, pool_size, strides, strict=True):
        if padding == "valid":
            counts.append(max(0, (n - p) // s + 1))
            starts.append(0)
        else:
            counts.append(-(-n // s))
            starts.append(-(max(0, (counts[-1] - 1) * s + p - n) // 2))
    members = {}
    for i in range(counts[0]):
        for j in range(counts[1]):
            members[i, j] = [
                (row, column, a * pool_size[1] + b)
                for a in range(pool_size[0])
                for b in range(pool_size[1])
                if 0 <= (row := starts[0] + i * strides[0] + a) < size[0]
                and 0 <= (column := starts[1] + j * strides[1] + b) < size[1]
            ]
    return *counts, members


def max_pool(x, pool_size, strides, padding):
    """The first maximum of each window; a NaN wins only as the first member.

    Returns `(pooled, codes, positions)`; a position is `(row * width + column) * channels + channel`.
    """
    batch, height, width, channels = x.shape
    rows, columns, members = window_members((height, width), pool_size, strides, padding)
    pooled = np.zeros((batch, rows, columns, channels), x.dtype)
    codes = np.zeros(pooled.shape, np.int64)
    positions = np.zeros(pooled.shape, np.int64)
    for n in range(batch):
        for c in range(channels):
            for (i, j), window in members.items():
                best_row, best_column, best_code = window[0]
                for row, column, code in window[1:]:
                    if x[n, row, column, c] > x[n, best_row, best_column, c]:
                        best_row, best_column, best_code = row, column, code
                pooled[n, i, j, c] = x[n, best_row, best_column, c]
                codes[n, i, j, c] = best_code
                positions[n, i, j, c] = (best_row * width + best_column) * channels + c
    return pooled, codes, positions


def scatter(values, positions, size):
    """Adds each value to zeros `(batch, *size, channels)` at its position: unpooling, and the gradient of pooling."""
    batch, rows, columns, channels = values.shape
    result = np.zeros((batch, *size, channels), np.float64)
    for n in range(batch):
        for i in range(rows):
            for j in range(columns):
                for c in range(channels):
                    row, rest = divmod(int(positions[n, i, j, c]), size[1] * channels)
                    column, channel = divmod(rest, channels)
                    assert channel == c
                    result[n, row, column, c] += values[n, i, j, c]
    return result.astype(values.dtype)


def gather(values, positions):
    """The value at each position: the gradient of unpooling."""
    result = np.zeros(positions.shape, values.dtype)
    for n in range(values.shape[0]):
        flat = values[n].ravel()
        for place in np.ndindex(positions.shape[1:]):
            result[(n, *place)] = flat[positions[(n, *place)]]
    return result


def interpolate(x, factor, size):
    """Bilinear interpolation where element i lies at factor * i, one axis after the other by np.interp.

    That also holds the last value behind the last element.
    """
    for axis, count in enumerate(size, start=1):
        places, known = np.arange(count), factor * np.arange(x.shape[axis])
        x = np.apply_along_axis(lambda line, places=places, known=known: np.interp(places, known, line), axis, x)
    return x


def batch_normalization(x, upstream, gamma, beta, epsilon):
    """`(y, mean, biased variance, dx, dgamma, dbeta)`, from Ioffe and Szegedy's equations, in float64."""
    x, upstream = x.astype("float64"), upstream.astype("float64")
    mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    deviation = np.sqrt(variance + epsilon)
    normalized = (x - mean) / deviation
    back = upstream * gamma
    dx = (back - back.mean(axis=(0, 1, 2)) - normalized * (back * normalized).mean(axis=(0, 1, 2))) / deviation
    dgamma, dbeta = (upstream * normalized).sum(axis=(0, 1, 2)), upstream.sum(axis=(0, 1, 2))
    return normalized * gamma + beta, mean, variance, dx, dgamma, dbeta
