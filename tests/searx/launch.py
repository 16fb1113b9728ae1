"""Serves searx 0.17 on a Python newer than it: puts back the names that Python 3.9 and 3.10 took away."""

import collections
import collections.abc
import threading

for name in ("Iterable", "Mapping", "MutableMapping"):
    setattr(collections, name, getattr(collections.abc, name))
threading.Thread.isAlive = threading.Thread.is_alive

from searx import webapp  # noqa: E402

webapp.run()
