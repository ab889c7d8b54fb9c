"""Batches from uint8 images: picking, cropping, flipping, scaling and normalising in one pass."""
from libc.stdint cimport int64_t, uint8_t
from cpython.buffer cimport PyBUF_SIMPLE

from parallel cimport import_runtime, parallel_for
from real cimport address, read, real, write

import_runtime()

cdef struct Batch:
    const uint8_t* images   # (N, H, W, C)
    const int64_t* index    # (chosen,)
    const int64_t* windows  # (B, 4): top, left, upside down, mirrored
    const real* table       # (tables, C, 257): the value of each byte, and of what lies outside the image
    real* out               # (B, C, rows, columns)
    Py_ssize_t chosen, tables, channels, height, width, rows, columns


cdef inline Py_ssize_t within(Py_ssize_t i, Py_ssize_t end) noexcept nogil:
    return 0 if i < 0 else end if i > end else i


cdef void gather_task(void* args, Py_ssize_t b) noexcept nogil:
    """Write one image of the batch."""
    cdef Batch* batch = <Batch*> args
    cdef const int64_t* window = batch.windows + 4 * b
    cdef Py_ssize_t number = batch.index[b % batch.chosen]
    cdef const uint8_t* image = batch.images + number * batch.height * batch.width * batch.channels
    cdef const real* tables = batch.table + b % batch.tables * batch.channels * 257
    cdef Py_ssize_t top = window[0], left = window[1], columns = batch.columns, step = batch.channels
    # Columns first ... last - 1 of the output show the image; x is the column of the image that the first of them shows.
    cdef Py_ssize_t first = within(-left, columns), last = within(batch.width - left, columns), x = left + first
    if window[3]:
        first, last = columns - last, columns - first
        x = left + columns - 1 - first
        step = -step
    cdef Py_ssize_t c, i, j, y
    cdef const uint8_t* pixel
    cdef const real* table
    cdef real* line
    for i in range(batch.rows):
        y = top + (batch.rows - 1 - i if window[2] else i)
        for c in range(batch.channels):
            table = tables + 257 * c
            line = batch.out + ((b * batch.channels + c) * batch.rows + i) * columns
            if y < 0 or y >= batch.height or first >= last:
                for j in range(columns):
                    line[j] = table[256]
                continue
            pixel = image + (y * batch.width + x) * batch.channels + c
            for j in range(first):
                line[j] = table[256]
            for j in range(last - first):
                line[first + j] = table[pixel[j * step]]
            for j in range(last, columns):
                line[j] = table[256]


def gather_images(object images, object index, object table, object windows, object out):
    """Write windows of images[index] through the table; see the contract, and the fields of Batch for the shapes."""
    cdef Batch batch
    cdef Py_ssize_t count = out.shape[0]
    batch.images = <const uint8_t*> address(images, 1, PyBUF_SIMPLE)
    batch.index = <const int64_t*> address(index, 8, PyBUF_SIMPLE)
    batch.windows = <const int64_t*> address(windows, 8, PyBUF_SIMPLE)
    batch.table = read(table)
    batch.out = write(out)
    batch.chosen, batch.tables = index.shape[0], table.shape[0]
    batch.height, batch.width, batch.channels = images.shape[1:]
    batch.rows, batch.columns = out.shape[2:]
    with nogil:
        parallel_for(gather_task, &batch, count, 0.5 * count * batch.channels * batch.rows * batch.columns)
