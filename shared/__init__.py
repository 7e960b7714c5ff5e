"""What both processes run: the pure core, the wire formats, security and the adapters over the SDKs."""
