# Vectors that need more than arithmetic; see vexp.h.
from real cimport real, vec

cdef extern from "vexp.h":
    vec vec_max(vec a, vec b) noexcept nogil            # a > b ? a : b
    double vec_sum(vec v) noexcept nogil                # of all lanes
    real vec_top(vec v) noexcept nogil                  # the maximum of all lanes, none of which is NaN
    vec vec_exp(vec x) noexcept nogil
    vec vec_log(vec x) noexcept nogil
    # The first `count` elements of a vector, the others being `fill`.
    vec vec_load_part(const real* source, Py_ssize_t count, real fill) noexcept nogil
    void vec_store_part(real* target, vec value, Py_ssize_t count) noexcept nogil
