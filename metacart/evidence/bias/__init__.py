"""Risk of bias: what a reader judged, and what the record itself decides."""
