"""Tables, figures, notebooks, macros and the PDF of the paper."""
