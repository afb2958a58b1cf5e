"""Hypothesis' profile for this folder."""

from __future__ import annotations

from tests.fakes import profile

profile.load()
