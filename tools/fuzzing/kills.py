"""SIGKILL at random moments, and resuming to the same bits."""
def run(*a): pass
