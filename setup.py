"""Build what is compiled: the core of autograd, and the kernels in ext/ per instruction-set level and element type.

``ext/conv.pyx`` becomes ``tinygrad_cnn/_ext/v4/float32/conv``, ``.../v4/float64/conv``, ``.../v3/float32/conv`` and
so on; ``tinygrad_cnn/_ext/__init__.py`` picks the level at import.  Everything else is in pyproject.toml.

Environment: TINYGRAD_CNN_SANITIZE=1 builds with the address and undefined-behaviour sanitizers (docs/contributing.md).
"""

import os
import platform
import shutil
import sys
from pathlib import Path

import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CORE = "tinygrad_cnn.autograd."  # what is compiled there is Python, with types in .pxd files
FAMILIES = [
    "arithmetic",
    "conv",
    "conv_weights",
    "elementwise",
    "images",
    "matmul",
    "norm",
    "optim",
    "places",
    "pool",
    "pooled",
    "random",
    "reduce",
    "resample",
    "softmax",
    "winograd",
]
LEVELS = ["v2", "v3", "v4"] if platform.machine().lower() in {"x86_64", "amd64"} else ["base"]
REALS = {"float32": "float", "float64": "double"}
SHARED = sorted(str(path) for path in Path("ext").iterdir() if path.suffix in {".pxd", ".h"})
DIRECTIVES = {
    "language_level": 3,
    "binding": False,
    "boundscheck": False,
    "cdivision": True,
    "embedsignature": True,
    "freethreading_compatible": True,
    "initializedcheck": False,
    "wraparound": False,
}
CORE_DIRECTIVES = {"language_level": 3, "annotation_typing": False, "freethreading_compatible": True}
SANITIZE = os.environ.get("TINYGRAD_CNN_SANITIZE", "0") == "1"


def compile_flags(compiler: str, level: str) -> list[str]:
    """Return the flags for one instruction-set level; none of them changes a result's value."""
    if compiler == "msvc":
        return [
            "/O2",
            "/std:c11",
            "/experimental:c11atomics",
            *{"v3": ["/arch:AVX2"], "v4": ["/arch:AVX512"]}.get(level, []),
        ]
    flags = [
        "-O1" if SANITIZE else "-O3",
        "-std=gnu11",
        "-fno-math-errno",
        "-fno-trapping-math",
        "-Wno-unused-function",
    ]
    if level.startswith("v"):
        flags.append(f"-march=x86-64-{level}")
    if level == "v4":
        flags.append("-mprefer-vector-width=512")
    return flags + (["-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover"] if SANITIZE else ["-g0"])


def translate(extensions: list[Extension], directives: dict[str, object]) -> list[Extension]:
    """Let Cython write the C files of modules."""
    from Cython.Build import cythonize

    return cythonize(extensions, build_dir="build/cython", include_path=["ext"], compiler_directives=directives)


class BuildKernels(build_ext):
    """Translate each source once, then compile kernels for every level and element type, two at a time."""

    def initialize_options(self) -> None:
        super().initialize_options()
        self.parallel = min(os.cpu_count() or 1, 4)

    def build_extensions(self) -> None:
        families = sorted({source for extension in self.extensions for source in extension.sources if "ext/" in source})
        core = [extension for extension in self.extensions if extension.name.startswith(CORE)]
        modules = translate([Extension(Path(source).stem, [source], depends=SHARED) for source in families], DIRECTIVES)
        modules += translate([Extension(e.name, e.sources, depends=e.depends) for e in core], CORE_DIRECTIVES)
        c_files = {module.name: module.sources[0] for module in modules}
        for extension in self.extensions:
            *package, level, real, family = extension.name.split(".")
            Path(*package, level, real).mkdir(parents=True, exist_ok=True)  # where an in-place build copies to
            # A C file of its own for each variant keeps the object files of parallel compilations apart.
            c_file = Path("build/variants", *package, level, real, family + ".c")
            c_file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(c_files[extension.name if extension in core else family], c_file)
            extension.sources = [str(c_file)]
            extension.extra_compile_args = compile_flags(self.compiler.compiler_type, level)
            if sys.platform == "linux":
                extension.extra_link_args = ["-pthread"] + ([] if SANITIZE else ["-Wl,-s"])
            if SANITIZE:
                extension.extra_link_args.append("-fsanitize=address,undefined")
        super().build_extensions()


def kernel(name: str, source: str, **options: object) -> Extension:
    """Declare one extension module; the .pxd and .h files it may use are shipped with the sources."""
    return Extension(
        f"tinygrad_cnn._ext.{name}", [f"ext/{source}.pyx"], depends=SHARED, **{"include_dirs": ["ext"], **options}
    )


def core(name: str) -> Extension:
    """Declare one module of autograd."""
    folder = "tinygrad_cnn/autograd"
    return Extension(CORE + name, [f"{folder}/{name}.py"], depends=sorted(map(str, Path(folder).glob("*.pxd"))))


setup(
    cmdclass={"build_ext": BuildKernels},
    ext_modules=[
        core("graph"),
        core("rows"),
        core("engine"),
        kernel("runtime", "runtime", include_dirs=["ext", numpy.get_include()]),
    ]
    + [
        kernel(f"{level}.{real}.{family}", family, define_macros=[("REAL", ctype)])
        for family in FAMILIES
        for level in LEVELS
        for real, ctype in REALS.items()
    ],
)
