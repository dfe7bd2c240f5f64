"""The only door to Ray Tune: a plan goes in, records come out; no Ray type is in a signature here."""
