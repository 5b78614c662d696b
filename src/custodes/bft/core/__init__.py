"""The protocol core: a replica as a pure state machine of events and actions, without clocks, sockets or threads."""
