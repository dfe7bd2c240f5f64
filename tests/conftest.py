from __future__ import annotations

from hypothesis import settings

# No deadline: on a busy machine it fails without a fault. Derandomized: a red run can be repeated.
settings.register_profile("here", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile("here")
