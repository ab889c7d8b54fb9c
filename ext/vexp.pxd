# Vectors that need more than arithmetic; see vexp.h.
from real cimport real, vec

cdef extern from "vexp.h":
    void PREFETCH(const real* address, bint writes) noexcept nogil
    vec vec_max(vec a, vec b) noexcept nogil            # a > b ? a : b
    vec vec_max_or_nan(vec a, vec b) noexcept nogil     # the same, or NaN if a or b is
    double vec_sum(vec v) noexcept nogil                # of all lanes
    real vec_top(vec v) noexcept nogil                  # the maximum of all lanes; NaN if one is
    vec vec_exp(vec x) noexcept nogil
    vec vec_log(vec x) noexcept nogil
    vec vec_relu_grad(vec dy, vec y) noexcept nogil     # dy, or 0 where y <= 0
    # The first `count` elements of a vector, the others being `fill`.
    vec vec_load_part(const real* source, Py_ssize_t count, real fill) noexcept nogil
    void vec_store_part(real* target, vec value, Py_ssize_t count) noexcept nogil
    # LANES elements, or as many as there are.
    vec load "vec_load_to"(const real* x, Py_ssize_t count) noexcept nogil
    void store "vec_store_to"(real* y, vec value, Py_ssize_t count) noexcept nogil
