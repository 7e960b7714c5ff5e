"""The emulator's own wire shapes: what goes over HTTP, named as ACS names it; no I/O."""
