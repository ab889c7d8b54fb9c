# The pool and the scratch memory of runtime.pyx, as kernel modules see them.  A module calls import_runtime() once.

cdef extern from "parallel.h":
    ctypedef void (*task_function)(void* args, Py_ssize_t index) noexcept nogil

    int import_runtime() except -1

    # Run task(args, 0) ... task(args, tasks - 1), on several threads if `work` (estimated nanoseconds on one thread)
    # is worth it.  Each task must write only outputs of its own.  Denormals are flushed to zero inside tasks.
    void parallel_for(task_function task, void* args, Py_ssize_t tasks, double work) noexcept nogil

    # The calling thread's buffer number `slot` (0 to 3), 64-byte aligned; NULL when memory is out.
    void* scratch_memory(int slot, size_t size) noexcept nogil
