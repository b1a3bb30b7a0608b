"""The routes of the API, one module a group; `attempt_ledger.api.app` lists them."""
