"""Wire formats of Azure Communication Services and Event Grid, validated once at the border."""
