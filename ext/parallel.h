/* How a kernel module reaches the one pool of the process: a table of functions in a capsule of runtime.pyx. */
#ifndef TINYGRAD_CNN_PARALLEL_H
#define TINYGRAD_CNN_PARALLEL_H

#include <Python.h>

#define RUNTIME_CAPSULE "tinygrad_cnn._ext.runtime._api"

typedef struct {
    void (*run)(void (*task)(void *, Py_ssize_t), void *args, Py_ssize_t tasks, double work);
    void *(*scratch)(int slot, size_t size);
} runtime_api;

static runtime_api *runtime;

static int import_runtime(void) {
    runtime = (runtime_api *)PyCapsule_Import(RUNTIME_CAPSULE, 0);
    return runtime ? 0 : -1;
}

#define parallel_for(task, args, tasks, work) runtime->run(task, args, tasks, work)
#define scratch_memory(slot, size) runtime->scratch(slot, size)

#endif
