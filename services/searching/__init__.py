"""Search over providers and open times: what is asked, by which engine it is answered, and what the calendar says."""
