"""The channels on file, read through the gate by the internal reader `mailer` for the purpose `invitation`."""

