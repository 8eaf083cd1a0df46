"""Without MediaPipe, which has an environment of its own, there is nothing to collect here."""

import importlib.util

collect_ignore = [] if importlib.util.find_spec("mediapipe") else ["test_mediapipe.py"]
