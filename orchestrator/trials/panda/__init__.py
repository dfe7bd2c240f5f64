"""Babysitting one model between two epochs: days, requests, rollbacks, branches, the sitter's hand. Free of Ray."""
