"""Live operations: graphql-transport-ws on WebSockets, graphql-sse on HTTP, and the same bytes for all who watch the same."""
