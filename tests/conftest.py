"""For all tests."""

import os

from hypothesis import settings

# Before numpy is imported. The fakes' ears do small sums on the loop's own thread; OpenBLAS would
# have its other threads help, and waits 5 to 10 ms for them where cores are few.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# A busy machine is no failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
