"""What Numba has no words for: four numbers at once, division of sizes, pointers from numbers.

Each intrinsic has a twin in plain Python for the simulator.
"""

from __future__ import annotations

from typing import Any

from ._numba import SIMULATED

if SIMULATED:
    import numpy as np

    from .simulated import pointer_from

    def load4(p: Any, i: int) -> tuple[Any, ...]:
        """Read p[i] to p[i + 3]."""
        return p[i], p[i + 1], p[i + 2], p[i + 3]

    def store4(p: Any, i: int, a: Any, b: Any, c: Any, d: Any) -> None:
        """Write p[i] to p[i + 3]."""
        p[i], p[i + 1], p[i + 2], p[i + 3] = a, b, c, d

    def quotient(a: Any, b: Any) -> Any:
        """Divide two sizes: neither is negative, b is not 0."""
        return np.int32(int(a) // int(b))

    def float_pointer(address: int) -> Any:
        """Return the float32 numbers at an address."""
        return pointer_from(address, np.float32)

    def double_pointer(address: int) -> Any:
        """Return the float64 numbers at an address."""
        return pointer_from(address, np.float64)

else:
    from llvmlite import ir
    from numba import types

    try:
        from numba.cuda.extending import intrinsic
    except ImportError:  # Numba's own target
        from numba.core.extending import intrinsic

    def _wide_pointer(builder: Any, scalar: Any, p: Any, i: Any) -> Any:
        """Return &p[i] as a pointer to four numbers."""
        place = builder.gep(p, [i])
        return builder.bitcast(place, ir.VectorType(scalar, 4).as_pointer(place.type.addrspace))

    def _address(context: Any, builder: Any, p: Any, value: Any) -> Any:
        """Return where numbers begin: what a pointer is, or what an array in shared memory holds."""
        return value if isinstance(p, types.CPointer) else context.make_array(p)(context, builder, value).data

    @intrinsic
    def load4(typingctx: Any, p: Any, i: Any) -> Any:
        """Read p[i] to p[i + 3] at once; the address is a multiple of 16."""
        kind = p.dtype

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            base = _address(context, builder, p, args[0])
            wide = builder.load(_wide_pointer(builder, context.get_value_type(kind), base, args[1]))
            wide.align = 16
            parts = [builder.extract_element(wide, ir.Constant(ir.IntType(32), k)) for k in range(4)]
            return context.make_tuple(builder, sig.return_type, parts)

        return types.UniTuple(kind, 4)(p, types.intp), generate

    @intrinsic
    def store4(typingctx: Any, p: Any, i: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
        """Write p[i] to p[i + 3] at once; the address is a multiple of 16."""
        kind = p.dtype

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            base = _address(context, builder, p, args[0])
            scalar = context.get_value_type(kind)
            wide = ir.Constant(ir.VectorType(scalar, 4), ir.Undefined)
            for k in range(4):
                wide = builder.insert_element(wide, args[2 + k], ir.Constant(ir.IntType(32), k))
            builder.store(wide, _wide_pointer(builder, scalar, base, args[1]), align=16)
            return context.get_dummy_value()

        return types.void(p, types.intp, kind, kind, kind, kind), generate

    @intrinsic
    def quotient(typingctx: Any, a: Any, b: Any) -> Any:
        """Divide two sizes: neither is negative, b is not 0.  Python's // would correct signs and test for 0."""

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return builder.udiv(*args)

        return types.int32(types.int32, types.int32), generate

    def _pointer_intrinsic(kind: Any, scalar: Any) -> Any:
        @intrinsic
        def from_address(typingctx: Any, address: Any) -> Any:
            """Return a pointer for an int64 that holds an address."""

            def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
                return builder.inttoptr(args[0], scalar.as_pointer())

            return types.CPointer(kind)(types.int64), generate

        return from_address

    float_pointer = _pointer_intrinsic(types.float32, ir.FloatType())
    double_pointer = _pointer_intrinsic(types.float64, ir.DoubleType())
