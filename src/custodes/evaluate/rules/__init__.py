"""How far rules held in what really happened in a replay, and whether any policy can make them hold."""
