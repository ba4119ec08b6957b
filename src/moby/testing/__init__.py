"""Conformance suites and honest fakes, one role a file; for our tests and for those of other components."""
