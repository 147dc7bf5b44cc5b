"""What a person reads: tables, notebooks, the PDF and the HTML report."""
