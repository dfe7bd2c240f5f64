"""Whether a run still holds today: what its data have become, and whether other configurations win by now.

Pure functions of arrays and scores. NumPy alone is imported here; scipy and scikit-learn when a test is made.
"""
