"""HTTP edges of the Functions app, one blueprint a file: parse, call shared, answer."""
