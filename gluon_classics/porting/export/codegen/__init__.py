"""Source files of networks for other frameworks: what is the same for all frameworks."""
