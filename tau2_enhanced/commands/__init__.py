"""The commands of `tau2-enhanced`, a light module each: its docstring is its help, `main` parses its flags."""
