"""Environments: the lane player over recorded events, its PettingZoo and Gymnasium views, checks and probes."""
