"""The form for alerts: values as people enter them, the preview, alerts from a file."""
