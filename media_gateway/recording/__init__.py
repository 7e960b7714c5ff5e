"""What is kept of a call: two tracks on one time line, a transcript, and what happened when."""
