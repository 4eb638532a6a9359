"""Another policy over a recorded run: what was recorded, its playback, and where the policy would take over."""
