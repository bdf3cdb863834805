"""Risk: hazard x exposure x vulnerability, less capacity, graded to five levels per building and per street."""
