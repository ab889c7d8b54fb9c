"""What all kernel modules share: the thread pool, memory, the processor's instruction-set levels; and calls of small kernels.

The kernel modules are compiled many times; this one once.  They reach it through a capsule (see parallel.h).  It alone uses
NumPy's C interface: making an array and finding its elements takes 0.06 us by it, and 0.3 us from Python.
"""
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.float cimport PyFloat_CheckExact
from cpython.long cimport PyLong_CheckExact
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from cpython.ref cimport Py_INCREF
cimport numpy as cnp

cnp.import_array()

cdef extern from "numpy/arrayobject.h":
    int PyArray_ISCARRAY_RO(cnp.ndarray) nogil
    int PyArray_SAMESHAPE(cnp.ndarray, cnp.ndarray) nogil

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

cdef extern from *:
    """
    static THREAD_LOCAL int grad_mode, inference_mode;
    #define set_modes(no_grad, inference) (grad_mode = (no_grad), inference_mode = (inference))
    """
    int grad_mode, inference_mode               # the first is 0 where operations are recorded
    void set_modes(int no_grad, int inference)

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
cdef double SERIAL_BELOW = 5_000.0
# Threads take tasks in grains of at least so many nanoseconds: each costs an atomic operation and moves cache lines.
cdef double GRAIN = 2_500.0
cdef int threads = 1
# Elements from which an elementwise loop lets other threads run Python meanwhile.
cdef Py_ssize_t UNLOCKED = 16384

cdef enum:
    MOST_DIMENSIONS = 64        # NumPy's limit

ctypedef void (*elementwise_loops)(int op, const void* a, const void* b, double number, void* y, Py_ssize_t size) noexcept nogil
# In the order of the cases in arithmetic.pyx.
LOOPS = ("add", "sub", "mul", "div", "relu_grad", "relu", "neg")


cdef void run(task_function task, void* args, Py_ssize_t tasks, double work) noexcept nogil:
    if work < SERIAL_BELOW:
        run_serially(task, args, tasks)
    else:
        run_parallel(task, args, tasks, 1 + <Py_ssize_t> (tasks * GRAIN / work), threads)


cdef runtime_api api
api.run = run
api.scratch = scratch
_api = PyCapsule_New(&api, RUNTIME_CAPSULE, NULL)


cdef class Mode:
    """Whether operations are recorded, for each thread: `grad`, and `inference` for is_inference_mode_enabled()."""
    @property
    def grad(self):
        return grad_mode == 0

    @grad.setter
    def grad(self, bint value):
        set_modes(not value, inference_mode)

    @property
    def inference(self):
        return inference_mode != 0

    @inference.setter
    def inference(self, bint value):
        set_modes(grad_mode, value)


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


cdef object new_array(int ndim, cnp.npy_intp* sizes, int kind, Py_ssize_t itemsize):
    """Make an uninitialised array of a NumPy type; a large one in memory that is used again."""
    cdef Py_ssize_t size = itemsize
    cdef int d
    cdef Block block
    for d in range(ndim):
        size *= sizes[d]
    if size < POOLED:
        return cnp.PyArray_SimpleNew(ndim, sizes, kind)
    block = Block(size)
    array = cnp.PyArray_SimpleNewFromData(ndim, sizes, kind, block.memory)
    Py_INCREF(block)                            # the next line takes over a reference
    cnp.PyArray_SetBaseObject(array, block)
    return array


def empty(shape, cnp.dtype dtype) -> object:
    """Return an uninitialised array of a shape, or of so many elements."""
    cdef cnp.npy_intp[MOST_DIMENSIONS] sizes
    cdef int d = 0
    cdef Py_ssize_t n           # unlike npy_intp it refuses floats
    for n in shape if isinstance(shape, tuple) else (shape,):
        if d == MOST_DIMENSIONS:
            raise ValueError(f"an array may have {MOST_DIMENSIONS} dimensions, got shape {shape}")
        sizes[d] = n
        d += 1
    return new_array(d, sizes, dtype.type_num, dtype.itemsize)


cdef class Loop:
    """An elementwise kernel of one or two operands: arrays, or an array and a number.

    Floating contiguous arrays of one shape go through the compiled loops of arithmetic.pyx, anything else to `otherwise`.
    """
    cdef int op
    cdef elementwise_loops float32, float64
    cdef readonly object otherwise

    def __init__(self, str name, float32, float64, otherwise):
        self.op = LOOPS.index(name)
        self.float32 = <elementwise_loops> PyCapsule_GetPointer(float32, NULL)
        self.float64 = <elementwise_loops> PyCapsule_GetPointer(float64, NULL)
        self.otherwise = otherwise

    def run(self, object a, object b=None):
        """Compute; the bound method is what callers keep, since it is the cheapest thing to call."""
        return self.compute(a, b, False)

    def update(self, object a, object b=None):
        """Compute, and write the result over `a` if that is possible; return it."""
        return self.compute(a, b, True)

    cdef object compute(self, object a, object b, bint over):
        cdef cnp.ndarray like = None, second = None
        cdef double number = 0
        cdef const void* x = NULL
        cdef const void* y = NULL
        cdef int kind
        cdef Py_ssize_t size
        if is_simple(a):
            like = <cnp.ndarray> a
            x = cnp.PyArray_DATA(like)
            if is_simple(b):
                second = <cnp.ndarray> b
                y = cnp.PyArray_DATA(second)
                if cnp.PyArray_TYPE(second) != cnp.PyArray_TYPE(like) or not PyArray_SAMESHAPE(like, second):
                    return self.fall_back(a, b)
            elif b is not None and not as_number(b, &number):
                return self.fall_back(a, b)
        elif is_simple(b) and as_number(a, &number):
            like = <cnp.ndarray> b
            y = cnp.PyArray_DATA(like)
        else:
            return self.fall_back(a, b)
        kind = cnp.PyArray_TYPE(like)
        if over and x != NULL and cnp.PyArray_ISWRITEABLE(like):
            result = a
        else:
            result = new_array(cnp.PyArray_NDIM(like), cnp.PyArray_DIMS(like), kind, cnp.PyArray_ITEMSIZE(like))
        size = cnp.PyArray_SIZE(like)
        loops = self.float32 if kind == cnp.NPY_FLOAT else self.float64
        if size < UNLOCKED:
            loops(self.op, x, y, number, cnp.PyArray_DATA(<cnp.ndarray> result), size)
        else:
            with nogil:
                loops(self.op, x, y, number, cnp.PyArray_DATA(<cnp.ndarray> result), size)
        return result

    cdef object fall_back(self, object a, object b):
        return self.otherwise(a) if b is None else self.otherwise(a, b)


cdef inline bint is_simple(object x):
    """Return whether the loops can take an array as it is."""
    return cnp.PyArray_CheckExact(x) and PyArray_ISCARRAY_RO(<cnp.ndarray> x) and (
        cnp.PyArray_TYPE(<cnp.ndarray> x) == cnp.NPY_FLOAT or cnp.PyArray_TYPE(<cnp.ndarray> x) == cnp.NPY_DOUBLE)


cdef inline bint as_number(object x, double* number) except -1:
    """Read a Python number; return whether it is one."""
    if not (PyFloat_CheckExact(x) or PyLong_CheckExact(x)):
        return False
    number[0] = x
    return True


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
