"""Property tests here bound the whole text's processor time themselves; a deadline per example only measures how busy
the machine is.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")
