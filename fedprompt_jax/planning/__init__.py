"""What a run will need, computed before it starts: memory, time, bytes sent."""
