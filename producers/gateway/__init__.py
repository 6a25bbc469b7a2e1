"""The ingest gateway: readings over HTTP and WebSocket, acknowledged only when Kafka has them."""
