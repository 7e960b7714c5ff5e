"""Edges of the Functions app, HTTP and a timer, one blueprint a file: parse, call shared, answer."""
