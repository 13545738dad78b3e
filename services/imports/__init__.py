"""Clinics, providers and published openings from files and feeds. A second run of the same input changes nothing."""
