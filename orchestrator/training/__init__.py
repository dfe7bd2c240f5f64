"""Training one trial fast: warm programs, compiled epochs, live hyperparameters.

Importing this package loads neither TensorFlow nor Keras; its modules ``trainer`` and below do.
"""
