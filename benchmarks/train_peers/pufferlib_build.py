"""Builds PufferLib's advantage kernel for the CPU; run by `--install` inside PufferLib's environment.

The wheel of pufferlib-core holds a kernel linked against CUDA and torch 2.9, and without a kernel its trainer refuses
to train. The wheel also holds the kernel's source: this compiles the CPU part of it, unchanged, against the torch that
every program here uses. It needs a C++ compiler.
"""

from __future__ import annotations

import importlib.util
import shutil
import sysconfig
import tempfile
from pathlib import Path

from torch.utils import cpp_extension


def main() -> None:
    """Compile the extension and put it where the package looks for it."""
    spec = importlib.util.find_spec("pufferlib")
    if spec is None or spec.origin is None:
        raise SystemExit("pufferlib is not installed here")
    package = Path(spec.origin).parent
    with tempfile.TemporaryDirectory() as folder:
        cpp_extension.load(
            name="_C",
            sources=[str(package / "extensions" / "pufferlib.cpp")],
            build_directory=folder,
            extra_cflags=["-O3"],
            is_python_module=False,
        )
        built = Path(folder) / "_C.so"
        shutil.copyfile(built, package / f"_C{sysconfig.get_config_var('EXT_SUFFIX')}")


if __name__ == "__main__":
    main()
