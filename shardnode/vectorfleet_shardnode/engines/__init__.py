"""What finds the nearest rows. `flat` is exact, and the oracle of the others."""
