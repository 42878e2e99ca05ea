"""What a newcomer finds on first start: a workspace, a dataset, an endpoint and a run under way."""
