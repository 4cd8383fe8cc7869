"""HTML pages, one module per page or group of related pages."""
