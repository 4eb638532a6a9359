"""The method: steps, cues, policies, the driver that carries out their requests, and the trace of it all."""
