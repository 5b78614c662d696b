"""Teams of learned defenders that watch hosts, obey temporal rules and stay right when some of them lie."""

__version__ = "0.1.0"
