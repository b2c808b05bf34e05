"""The command line: parse, call the library, print. One module a verb, no logic.

This module is the first of the program that is imported, and so the place to say how OpenMP's threads wait for each
other, which they read once, when torch is loaded. By themselves they spin: where another session's process wants the
processor too, a training on all threads then falls to an eighth of its speed, and to a half where they sleep
(benchmarks/sharing.py).
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
