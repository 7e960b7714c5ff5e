"""The emulated Azure Web PubSub: its data plane for servers and for clients."""
