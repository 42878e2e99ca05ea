"""The address outside that a workspace pushes files to, and what was delivered there."""
