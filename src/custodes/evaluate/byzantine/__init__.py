"""What a team's decisions come to when some of its agents lie."""
