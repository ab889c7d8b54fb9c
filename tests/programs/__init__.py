"""Programs written for PyTorch; tests/parity/test_programs.py runs them with changed imports and compares all numbers.

Each defines make() -> modules and run(modules, data) -> what is compared; `data` is a NumPy random generator's.
"""
