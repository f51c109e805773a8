"""Small sound files of every format that is read, what may happen to them, and who reads them.

``benchmarks/mutants.py`` runs them by the hundred thousand, ``tests/test_mutants.py`` a few.
"""
