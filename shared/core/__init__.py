"""Rules without I/O, clock or await: what a call may do, who answers it, what was heard."""
