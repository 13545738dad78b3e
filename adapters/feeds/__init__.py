"""Files and URLs that are imported, with bounds on time and size."""
