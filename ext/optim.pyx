"""Optimiser steps: each parameter is read and written once; threads share the chunks of all parameters."""
from libc.math cimport sqrt

from parallel cimport import_runtime, parallel_for
from real cimport read, real, real_alone, write

import_runtime()

cdef enum:
    CHUNK = 16384       # elements of a task

cdef extern from *:
    """
    #include <math.h>
    #define real_sqrt(x) (sizeof(real) == 4 ? (real)sqrtf((float)(x)) : (real)sqrt(x))
    """
    real real_sqrt(real x) noexcept nogil

cdef struct Step:       # of one parameter
    real* p
    const real* g
    real* m             # momentum, or first moment; NULL without
    real* v             # second moment
    real* peak          # its maximum so far (AMSGrad); NULL without
    Py_ssize_t size, first      # its first task
    bint started        # whether m holds an earlier step
    bint nesterov, maximize, decoupled
    real lr, momentum, fresh, weight_decay, beta1, beta2, fresh1, fresh2, shrink, eps, root     # fresh = 1 - the other


cdef struct Steps:      # of all parameters
    Step* steps
    Py_ssize_t count, tasks, elements


cdef Steps room_for(object params, object memory):
    """Return the steps of parameters, to be filled in, in the memory of a bytearray."""
    cdef Steps all
    memory.extend(bytes(len(params) * sizeof(Step)))
    all.steps = <Step*> <char*> memory
    all.count = all.tasks = all.elements = 0
    return all


cdef void add_step(Steps* all, const Step* s) noexcept:
    """Cut the work on another parameter into tasks."""
    all.steps[all.count] = s[0]
    all.steps[all.count].first = all.tasks
    all.count += 1
    all.tasks += (s.size + CHUNK - 1) // CHUNK
    all.elements += s.size


cdef inline Step find_step(const Steps* all, Py_ssize_t task, Py_ssize_t* begin, Py_ssize_t* end) noexcept nogil:
    """Return the parameter that a task works on, and which of its elements."""
    cdef Py_ssize_t low = 0, high = all.count, middle
    while high - low > 1:
        middle = (low + high) // 2
        if all.steps[middle].first <= task:
            low = middle
        else:
            high = middle
    begin[0] = (task - all.steps[low].first) * CHUNK
    end[0] = min(all.steps[low].size, begin[0] + CHUNK)
    return all.steps[low]       # a copy, which what is written cannot change


cdef inline void sgd_chunk(const Step* s, Py_ssize_t begin, Py_ssize_t end, bint momentum) noexcept nogil:
    """Step one chunk of one parameter; a constant `momentum` leaves loops that can be vectorised."""
    cdef real_alone p = s.p
    cdef real_alone moments = s.m
    cdef const real* grads = s.g
    cdef real lr = s.lr, decay = s.weight_decay, keep = s.momentum, fresh = s.fresh, sign = -1 if s.maximize else 1, g, m
    cdef bint started = s.started, nesterov = s.nesterov
    cdef Py_ssize_t i
    for i in range(begin, end):
        g = sign * grads[i] + decay * p[i]
        if momentum:
            m = keep * moments[i] + fresh * g if started else g
            moments[i] = m
            g = g + keep * m if nesterov else m
        p[i] -= lr * g


cdef void sgd_task(void* args, Py_ssize_t index) noexcept nogil:
    """Step one chunk of one parameter."""
    cdef Py_ssize_t begin, end
    cdef Step s = find_step(<const Steps*> args, index, &begin, &end)
    if s.m != NULL:
        sgd_chunk(&s, begin, end, True)
    else:
        sgd_chunk(&s, begin, end, False)


def sgd(object params, object grads, object momenta, object started, double lr, double momentum, double dampening,
        double weight_decay, bint nesterov, bint maximize):
    """Step all parameters."""
    cdef Step s
    memory = bytearray()
    cdef Steps all = room_for(params, memory)
    s.lr, s.momentum, s.fresh, s.weight_decay = <real> lr, <real> momentum, <real> (1 - dampening), <real> weight_decay
    s.nesterov, s.maximize = nesterov, maximize
    for p, g, m, running in zip(params, grads, momenta, started):
        s.p = write(p)
        s.g = read(g)
        s.m = NULL if m is None else write(m)
        s.size = p.size
        s.started = running
        add_step(&all, &s)
    with nogil:
        parallel_for(sgd_task, &all, all.tasks, 0.5 * all.elements)


cdef inline void adam_chunk(const Step* step, Py_ssize_t begin, Py_ssize_t end, bint amsgrad) noexcept nogil:
    """Step one chunk of one parameter; a constant `amsgrad` leaves a loop without branches."""
    cdef Step s = step[0]       # a copy, which what is written below cannot change
    cdef real_alone p = s.p
    cdef real_alone first = s.m
    cdef real_alone second = s.v
    cdef real_alone peak = s.peak
    cdef Py_ssize_t i
    cdef real g, m, v, weight, sign = -1 if s.maximize else 1
    cdef real decay = 0 if s.decoupled else s.weight_decay
    for i in range(begin, end):
        weight = p[i] * s.shrink
        g = sign * s.g[i] + decay * weight
        m = s.beta1 * first[i] + s.fresh1 * g
        v = s.beta2 * second[i] + s.fresh2 * g * g
        first[i] = m
        second[i] = v
        if amsgrad:
            v = v if v > peak[i] else peak[i]
            peak[i] = v
        p[i] = weight - s.lr * m / (real_sqrt(v) * s.root + s.eps)


cdef void adam_task(void* args, Py_ssize_t index) noexcept nogil:
    """Step one chunk of one parameter."""
    cdef Py_ssize_t begin, end
    cdef Step s = find_step(<const Steps*> args, index, &begin, &end)
    if s.peak != NULL:
        adam_chunk(&s, begin, end, True)
    else:
        adam_chunk(&s, begin, end, False)


def adam(object params, object grads, object means, object squares, object peaks, object steps, double lr, double beta1,
         double beta2, double eps, double weight_decay, bint decoupled, bint maximize):
    """Step all parameters."""
    cdef Step s
    memory = bytearray()
    cdef Steps all = room_for(params, memory)
    s.beta1, s.beta2, s.eps = <real> beta1, <real> beta2, <real> eps
    s.decoupled, s.maximize = decoupled, maximize
    s.fresh1, s.fresh2 = <real> (1 - beta1), <real> (1 - beta2)      # not 1 - <real> beta2, which loses four digits
    s.weight_decay = <real> weight_decay
    s.shrink = <real> (1 - lr * weight_decay) if decoupled else 1
    for p, g, m, v, peak, t in zip(params, grads, means, squares, peaks, steps):
        s.p = write(p)
        s.g = read(g)
        s.m = write(m)
        s.v = write(v)
        s.peak = NULL if peak is None else write(peak)
        s.size = p.size
        s.lr = <real> (lr / (1 - beta1 ** <double> t))
        s.root = <real> (1 / sqrt(1 - beta2 ** <double> t))
        add_step(&all, &s)
    with nogil:
        parallel_for(adam_task, &all, all.tasks, 1.0 * all.elements)
