"""What all kernel modules share: the thread pool, scratch memory, the processor's instruction-set levels.

The kernel modules are compiled many times; this one once.  They reach it through a capsule (see parallel.h).
"""
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.pycapsule cimport PyCapsule_New
from numpy import empty as numpy_empty, ndarray

cdef extern from *:
    """
    static int cpu_has(int level) {
    #if defined(__x86_64__) && defined(__GNUC__)
        __builtin_cpu_init();
        if (level == 2) return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
        if (level == 3) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        if (level == 4) return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
            && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    #endif
        return 0;
    }
    """
    bint cpu_has(int level)

cdef extern from "workers.h":
    const char* POOL_THREADS
    ctypedef void (*task_function)(void* args, Py_ssize_t index) noexcept nogil
    void run_parallel(task_function task, void* args, Py_ssize_t tasks, Py_ssize_t grain, int threads) noexcept nogil
    void run_serially(task_function task, void* args, Py_ssize_t tasks) noexcept nogil
    void* scratch(int slot, size_t size) noexcept nogil
    void scratch_free() noexcept nogil

cdef extern from "blocks.h":
    ctypedef struct block_pool:
        size_t waiting_bytes, used_bytes, peak_bytes, limit
    block_pool blocks
    void* block_take(size_t size) noexcept nogil
    void block_give(void* memory, size_t size) noexcept nogil
    void blocks_empty() noexcept nogil

cdef extern from "parallel.h":
    const char* RUNTIME_CAPSULE
    ctypedef struct runtime_api:
        void (*run)(task_function task, void* args, Py_ssize_t tasks, double work) noexcept nogil
        void* (*scratch)(int slot, size_t size) noexcept nogil

# Bytes from which arrays live in blocks.
cdef Py_ssize_t POOLED = 1 << 15
# Below this much work, in nanoseconds on one thread, waking a second one costs more than it saves (measured).
cdef double SERIAL_BELOW = 20_000.0
# Threads take tasks in grains of at least so many nanoseconds: each costs an atomic operation and moves cache lines.
cdef double GRAIN = 4_000.0
cdef int threads = 1


cdef void run(task_function task, void* args, Py_ssize_t tasks, double work) noexcept nogil:
    if work < SERIAL_BELOW:
        run_serially(task, args, tasks)
    else:
        run_parallel(task, args, tasks, 1 + <Py_ssize_t> (tasks * GRAIN / work), threads)


cdef runtime_api api
api.run = run
api.scratch = scratch
_api = PyCapsule_New(&api, RUNTIME_CAPSULE, NULL)


def set_num_threads(int count) -> None:
    """Let kernels use up to ``count`` threads."""
    global threads
    threads = count


def get_num_threads() -> int:
    """Return how many threads kernels may use."""
    return threads


def thread_library() -> str:
    """Return what the pool is built on: ``'pthreads'``, or ``'none'`` where kernels run on the calling thread."""
    return POOL_THREADS.decode()


def cpu_levels() -> list[str]:
    """Return the x86-64 instruction-set levels that this processor has, lowest first."""
    return [f"v{level}" for level in (2, 3, 4) if cpu_has(level)]


cdef class Block:
    """The memory of one large array: taken from the pool of blocks, and given back when the array is gone."""
    cdef void* memory
    cdef size_t size

    def __cinit__(self, size_t size):
        self.memory = block_take(size)
        self.size = size
        if self.memory == NULL:
            raise MemoryError(f"cannot allocate {size} bytes")

    def __dealloc__(self):
        if self.memory != NULL:
            block_give(self.memory, self.size)

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self.memory, <Py_ssize_t> self.size, 0, flags)

    def __releasebuffer__(self, Py_buffer* view):
        pass


def empty(shape, dtype) -> object:
    """Return an uninitialised array of a shape, or of so many elements; a large one in memory that is used again."""
    cdef Py_ssize_t size = dtype.itemsize
    for n in shape if isinstance(shape, tuple) else (shape,):
        size *= n
    return numpy_empty(shape, dtype) if size < POOLED else ndarray(shape, dtype, Block(size))


def set_block_limit(size_t size) -> None:
    """Keep at most so many bytes of unused blocks."""
    blocks.limit = size


def memory_stats() -> dict[str, int]:
    """Return the bytes of large arrays: in use, at most in use so far, and kept for reuse."""
    return {"used": blocks.used_bytes, "peak": blocks.peak_bytes, "kept": blocks.waiting_bytes, "limit": blocks.limit}


def empty_cache() -> None:
    """Return unused blocks, and the calling thread's scratch memory, to the system."""
    blocks_empty()
    scratch_free()
