"""The tests; a package by name, because eventkit installs one called tests that would be found instead of a folder."""
