"""The example numbers, wherever none is named. From the ranges that are kept for fiction."""

CALLED = "+18005550199"
CALLER = "+14255550100"
