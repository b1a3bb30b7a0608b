"""The console: pages through time, mounted at `/` of the same application as the API."""
