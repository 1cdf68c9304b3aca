"""How paths, curves and coefficients are drawn, in one look; matplotlib is imported where something is drawn."""
