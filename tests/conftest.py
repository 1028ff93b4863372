"""What holds for every test."""

import hypothesis

# Speed is not asserted: on a busy machine any example may take long.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

pytest_plugins = ["left_out"]
