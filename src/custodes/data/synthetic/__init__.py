"""A synthetic recording: hosts, programs and attack campaigns with true labels, from a seed. See docs/synthetic.md."""

from custodes.data.synthetic.config import SyntheticConfig
from custodes.data.synthetic.generate import generate

__all__ = ["SyntheticConfig", "generate"]
