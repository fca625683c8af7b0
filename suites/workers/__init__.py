"""Processes: fork server, worker, and the parent's end of the socket."""
