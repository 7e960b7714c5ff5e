"""A local Event Grid: subscriptions with real handshakes, filters, deliveries, retries and dead letters."""
