"""Batches from uint8 images: picking, scaling and normalising in one pass."""
from libc.stdint cimport int64_t, uint8_t
from cpython.buffer cimport PyBUF_SIMPLE

from parallel cimport import_runtime, parallel_for
from real cimport address, read, real, write

import_runtime()

cdef struct Batch:
    const uint8_t* images
    const int64_t* index
    const real* table       # (C, 256): the value of each byte
    real* out
    Py_ssize_t channels, pixels


cdef void gather_task(void* args, Py_ssize_t b) noexcept nogil:
    """Write one image of the batch."""
    cdef Batch* batch = <Batch*> args
    cdef Py_ssize_t c, i, size = batch.channels * batch.pixels
    cdef const uint8_t* image = batch.images + batch.index[b] * size
    cdef real* out = batch.out + b * size
    cdef const real* table
    for c in range(batch.channels):
        table = batch.table + 256 * c
        for i in range(batch.pixels):
            out[c * batch.pixels + i] = table[image[c * batch.pixels + i]]


def gather_images(object images, object index, object table, object out):
    """Write out[b, c] = table[c][images[index[b], c]]: uint8 (N, C, H, W), int64 (B,) in range, (C, 256)."""
    cdef Batch batch
    cdef Py_ssize_t count = out.shape[0]
    batch.images = <const uint8_t*> address(images, 1, PyBUF_SIMPLE)
    batch.index = <const int64_t*> address(index, 8, PyBUF_SIMPLE)
    batch.table = read(table)
    batch.out = write(out)
    batch.channels = out.shape[1]
    batch.pixels = out.shape[2] * out.shape[3]
    with nogil:
        parallel_for(gather_task, &batch, count, 0.5 * count * batch.channels * batch.pixels)
