"""Networks, independent of the tasks that they are trained on."""
