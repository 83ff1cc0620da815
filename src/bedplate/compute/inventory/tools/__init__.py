"""The seam for vendors' tools: what a tool prints, recognised, joined and read; the same whether it was run now or saved."""
