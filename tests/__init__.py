"""The suite: tests/<app>/test_<module>.py, real parts wherever they can run."""
