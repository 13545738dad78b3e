"""Synthetic data for people to look at: nobody and nowhere in it is real."""

from app.demo.filling import CLINICS, SEED, Summary, fill

__all__ = ["CLINICS", "SEED", "Summary", "fill"]
