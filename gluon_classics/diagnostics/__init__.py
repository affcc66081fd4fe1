"""Checks of the installation (doctor) and of bit-identical training (certify)."""
