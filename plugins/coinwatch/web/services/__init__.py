"""Services that pages and the API share."""
