"""A synthetic recording: hosts, programs and attack campaigns with true labels, from a seed. See docs/synthetic.md."""

from custodes.data.synthetic.config import SyntheticConfig

__all__ = ["SyntheticConfig"]
