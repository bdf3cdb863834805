"""One router per question that a browser or a program may ask."""
