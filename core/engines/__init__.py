"""Models behind one protocol (base.py), wherever they run."""
