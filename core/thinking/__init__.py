"""The method: steps, cues, policies, the loop that turns their moves into writing, and the trace of it all."""
