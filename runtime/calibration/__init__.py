"""`vr-live calibrate`: from two cameras that nobody has measured to a file of options for them."""
