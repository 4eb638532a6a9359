"""Who can write: models behind one protocol (base.py), wherever they run."""
