"""Faults that were reported in public about programs of this kind, tried here."""
