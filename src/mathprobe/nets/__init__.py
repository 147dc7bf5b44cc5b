"""Networks.  Know no matrix and no digit."""
