"""Call Automation's REST API: authentication, operations, and the application's leg of each answered call."""
