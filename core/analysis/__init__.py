"""What is found out about finished texts: second opinions, values of steps, differences, and a model's cues."""
