"""What the Functions app does with a call: answer it, and keep what ACS says of it."""
